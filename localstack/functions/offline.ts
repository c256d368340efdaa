import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GetQueueUrlCommand } from "@aws-sdk/client-sqs";
import { stop as stopBundler } from "esbuild";
import { takeDataDir } from "../parts/data-dir.ts";
import { freePort, tryPort } from "../parts/ports.ts";
import { queuesOf } from "../parts/queues.ts";
import { localiseEnvironment, queueEvents, type Service, takeSchedules } from "../parts/service.ts";
import { localSqs, startServices } from "../parts/services.ts";
import { answerProblems, answerUnreadable, type Gateway, keepBytes, refuseForeign, routeHead } from "./api-gateway.ts";
import { type Invoke, lambdaApi, serves } from "./lambda.ts";
import { LLM_STREAM_PORT, serveStreamUrl } from "./llm-stream.ts";
import { type Poller, startPoller } from "./poller.ts";

/** What the stack tells the process that started it. */
export type Report = { ready: { url: string; environment: Record<string, string> } } | { failed: string };

/** What we use of serverless-offline: to end it (`true` leaves the process alive), and its HTTP server. */
export type OfflineServer = {
  end: (skipExit?: boolean) => Promise<void>;
  internals: () => { getApiGatewayServer: () => Gateway };
};

type Start = {
  service: Service;
  dataDir: string;
  root: string;
  options: Options;
};

/** Of serverless-offline's options those that we look at. */
export type Options = { host?: string; httpPort?: string; lambdaPort?: string };

/** Longest that stopping waits for calls in flight, such as a GET that still has 20 s to wait. */
const DRAIN_MS = 2000;

/** Starts everything around serverless-offline, in its process; see offline-plugin.ts for what that is. */
export function startOffline({ service, dataDir, root, options }: Start) {
  const stops: (() => Promise<void>)[] = [stopBundler];
  const stopping = new AbortController();
  let stopped: Promise<void> | undefined;

  const unwind = async () => {
    for (const stop of stops.splice(0).toReversed()) await stop().catch((error: unknown) => console.error(error));
  };
  /** Ends this process with `code` when everything is down; asked twice, it is done once. */
  const stop = async (code: number) => {
    stopping.abort();
    stopped ??= services
      .catch(() => {})
      .then(unwind)
      .then(() => process.exit(code));
    await stopped;
  };
  const fail = async (error: unknown) => {
    if (stopping.signal.aborted) return;
    const { message } = error as Error;
    console.error(message);
    process.send?.({ failed: message } satisfies Report);
    await stop(1);
  };

  const httpPort = Number(options.httpPort ?? 3000);
  const checked = (async () => {
    const dir = takeDataDir(dataDir);
    stops.push(async () => dir.release());
    if ((await tryPort(httpPort)) === undefined) {
      const other = "npm start -- --port 3001   (or: serverless offline --httpPort 3001)";
      throw new Error(`Port ${httpPort} of 127.0.0.1 is taken. Stop what listens there, or choose another: ${other}`);
    }
    return dir;
  })();
  const services = checked.then(async () => {
    const started = await startServices(dataDir);
    stops.push(started.stop);
    started.broken.catch(fail);
    return started;
  });
  services.catch(() => {});

  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => void stop(0));
  // The process that started us is gone, however it ended.
  process.on("disconnect", () => void stop(0));

  /** Called when the functions are bundled and serverless-offline is about to start; the rest follows once it serves. */
  const serve = async (offline: OfflineServer) => {
    const { environment, region } = await services;
    const lambdaPort = Number(options.lambdaPort ?? (await freePort(3002)));
    service.provider.region = region;
    localiseEnvironment(service, {
      ...environment,
      MIGRATIONS_DIR: join(root, "migrations"),
      AGENTS_DIR: join(root, "agents"),
      // Here the queues are ours to make.
      AGENT_QUEUE_CREATE: "true",
    });
    const schedules = takeSchedules(service);
    service.custom = {
      ...service.custom,
      // API Gateway does not look into cookies either.
      "serverless-offline": {
        host: "127.0.0.1",
        lambdaPort,
        disableCookieValidation: true,
        ...service.custom?.["serverless-offline"],
      },
    };
    // `serverless offline` without `start` ends itself with this method; everything else has to be down by then.
    const end = offline.end.bind(offline);
    offline.end = async () => await stop(0);
    stops.push(() => Promise.race([end(true), sleep(DRAIN_MS)]));
    void afterwards(offline, lambdaPort, schedules).catch(fail);
  };

  const afterwards = async (offline: OfflineServer, lambdaPort: number, schedules: string[]) => {
    const { environment, region } = await services;
    for (const port of [lambdaPort, httpPort]) {
      while (!(await serves(port))) await sleep(50, undefined, { signal: stopping.signal });
    }
    const invoke = lambdaApi(lambdaPort);
    await invoke(service.functions["migrate"]?.name ?? "", { command: "up" });
    const gateway = offline.internals().getApiGatewayServer();
    refuseForeign(gateway);
    routeHead(gateway);
    keepBytes(gateway);
    answerProblems(gateway);
    answerUnreadable(gateway.listener);
    const sqs = localSqs(region);
    const pollers: Poller[] = [];
    stops.push(async () => void (await Promise.all(pollers.map((poller) => poller.stop()))));
    const names = new Map(queuesOf().map((queue) => [queue.resource, queue.name]));
    for (const event of queueEvents(service)) {
      const { QueueUrl = "" } = await sqs.send(new GetQueueUrlCommand({ QueueName: names.get(event.resource) }));
      pollers.push(await startPoller(sqs, invoke, { ...event, queueUrl: QueueUrl }));
    }
    for (const name of schedules) void runEvery(sweepSeconds(), invoke, name, stopping.signal);
    const llm = await serveStreamUrl(root, await freePort(LLM_STREAM_PORT), options.host);
    stops.push(llm.stop);
    Object.assign(environment, { LLM_STREAM_URL: llm.url });
    const url = `http://127.0.0.1:${httpPort}`;
    const pid = process.connected ? process.ppid : process.pid;
    (await checked).announce({ pid, url, environment });
    process.send?.({ ready: { url, environment } } satisfies Report);
    if (!process.send) console.log(`ready ${url}, LLM streams at ${llm.url}/llm/v1`);
  };

  return { checked, serve, stop, abandon: async () => await services.catch(() => {}).then(unwind) };
}

/** Locally a schedule runs every few seconds instead of every minute, so that a retry is seen to happen. */
function sweepSeconds(): number {
  const given = process.env["WAYBILL_SWEEP_SECONDS"] || "5";
  const seconds = Number(given);
  if (/^[\d.]+$/.test(given) && seconds > 0 && seconds <= 3600) return seconds;
  throw new Error("WAYBILL_SWEEP_SECONDS must be a number of seconds above 0 and up to 3600, such as 5.");
}

async function runEvery(seconds: number, invoke: Invoke, name: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(seconds * 1000, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const event = { source: "aws.events", "detail-type": "Scheduled Event", detail: {}, resources: [] };
    await invoke(name, event).catch((error: unknown) => {
      if (!signal.aborted) console.error((error as Error).message);
    });
  }
}
