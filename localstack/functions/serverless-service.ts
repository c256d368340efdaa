/** What the plugin reads and sets of the service that `serverless` has parsed from serverless.yml. */
export type Service = {
  provider: { region: string; timeout?: number; environment?: Environment };
  functions: Record<string, ServiceFunction>;
  custom?: Record<string, Record<string, unknown> | undefined>;
};

/** Batches of one queue in hand at once. */
const MAX_CONCURRENCY = 2;

type Environment = Record<string, unknown>;
type ServiceFunction = {
  name: string;
  handler?: string;
  /** In seconds. */
  timeout?: number;
  environment?: Environment;
  events?: ServiceEvent[];
};
type ServiceEvent = { sqs?: SqsEvent; schedule?: unknown; httpApi?: string | { method?: string; path?: string } };
type SqsEvent = { arn: { "Fn::GetAtt": [string, string] }; batchSize?: number; maximumConcurrency?: number };

/** The queues that wake functions, by their resource of serverless.yml, with the batch size that it gives them. */
export function queueEvents(
  service: Service,
): { functionName: string; resource: string; batchSize: number; concurrency: number }[] {
  return Object.values(service.functions).flatMap(({ name, events = [] }) =>
    events.flatMap(({ sqs }) => {
      if (sqs === undefined) return [];
      const concurrency = Math.min(MAX_CONCURRENCY, sqs.maximumConcurrency ?? MAX_CONCURRENCY);
      return [{ functionName: name, resource: sqs.arn["Fn::GetAtt"][0], batchSize: sqs.batchSize ?? 10, concurrency }];
    }),
  );
}

/**
 * Takes the schedules out of the service and answers the functions they wake: offline would run them by the minute, and
 * from before the database is migrated.
 */
export function takeSchedules(service: Service): string[] {
  return Object.values(service.functions).flatMap((fn) => {
    const scheduled = (fn.events ?? []).some((event) => event.schedule !== undefined);
    fn.events = (fn.events ?? []).filter((event) => event.schedule === undefined);
    return scheduled ? [fn.name] : [];
  });
}

/**
 * Replaces what only AWS can resolve in the functions' environment: a variable of this process comes first, then the local
 * value, then a plain text of serverless.yml; what is left has no meaning here and goes.
 */
export function localiseEnvironment(service: Service, local: Record<string, string>): void {
  const { provider } = service;
  provider.environment = { ...localised(provider.environment, local), ...ownOr(local) };
  for (const fn of Object.values(service.functions)) fn.environment = localised(fn.environment, local);
}

function localised(environment: Environment = {}, local: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) => {
      const plain = typeof value === "string" && !value.includes("{{resolve:") ? value : undefined;
      const chosen = process.env[name] || local[name] || plain;
      return chosen === undefined ? [] : [[name, chosen]];
    }),
  );
}

function ownOr(local: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(local).map(([name, value]) => [name, process.env[name] || value]));
}
