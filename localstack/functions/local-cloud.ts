import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GetQueueUrlCommand } from "@aws-sdk/client-sqs";
import { stop as stopBundler } from "esbuild";
import { log } from "../../lib/runtime/log.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { within } from "../../lib/time.ts";
import { LOCAL_AGENTS } from "../parts/agent-processes.ts";
import { localSqs, type Services, startServices } from "../parts/backing-services.ts";
import { type DataDir, takeDataDir } from "../parts/data-dir.ts";
import { keyFile, keyHelp, near, signingSecret } from "../parts/keys.ts";
import { localSettings } from "../parts/local-settings.ts";
import { freePort, tryPort } from "../parts/ports.ts";
import { queuesOf } from "../parts/queues.ts";
import { authorizer } from "./authorizer.ts";
import { giveKeys } from "./first-keys.ts";
import { isGuarded } from "./guarded.ts";
import { serveHttpApi } from "./http-api.ts";
import { type HttpRoute, takeHttpRoutes } from "./http-routes.ts";
import { type Invoke, lambdaApi, serves } from "./lambda-api.ts";
import { LLM_STREAM_PORT, serveFunctionUrl } from "./llm-stream.ts";
import { LocalFunctions } from "./local-functions.ts";
import { localiseEnvironment, queueEvents, type Service, takeSchedules } from "./serverless-service.ts";
import { type Poller, startPoller } from "./sqs-poller.ts";

/** What the stack tells the process that started it. */
export type Report = { ready: Ready } | { failed: string };

/** Where it is; `newKey`: whether the owner's key, which the data folder has, is new. */
export type Ready = { url: string; environment: Record<string, string>; newKey: boolean };

/** What we use of serverless-offline: to end it; `true` leaves the process alive. */
export type OfflineServer = { end: (skipExit?: boolean) => Promise<void> };

/** Of serverless-offline's options those that we look at. */
export type Options = { host?: string; httpPort?: string; lambdaPort?: string };

type Start = { service: Service; dataDir: string; root: string; options: Options };

/** What was taken out of the service before serverless-offline looks at it. */
type Taken = { routes: HttpRoute[]; schedules: string[] };

/** The function that has a URL of its own. */
const STREAM_FUNCTION = "llm-stream";

/** The function that says who calls. */
const AUTHORIZER = "authorize";

/** Longest that stopping waits for calls in flight, such as a GET that still has 20 s to wait. */
const DRAIN_MS = 2000;

/**
 * Everything around serverless-offline, in its process; see offline-plugin.ts for what that is. It ends the process when it is
 * told to, when what started it is gone, and when a part breaks.
 */
export class LocalCloud {
  /** Rejects at once, with what to do, where the data directory or the HTTP port is somebody else's. */
  readonly checked: Promise<DataDir>;
  readonly #start: Start;
  readonly #httpPort: number;
  readonly #host: string | undefined;
  readonly #services: Promise<Services>;
  readonly #stops: (() => Promise<void>)[] = [stopBundler];
  readonly #stopping = new AbortController();
  #stopped: Promise<void> | undefined;

  constructor(start: Start) {
    this.#start = start;
    this.#httpPort = Number(start.options.httpPort ?? 3000);
    this.#host = start.options.host;
    // Of serverless-offline too, whose Lambda API runs any function for whoever reaches it: that one stays on loopback.
    delete start.options.host;
    this.checked = this.#check();
    this.#services = this.checked.then(async () => await this.#startServices());
    this.#services.catch(() => {});
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => void this.stop(0));
    // The process that started us is gone, however it ended.
    process.on("disconnect", () => void this.stop(0));
  }

  /** Called when the functions are bundled and serverless-offline is about to start; the rest follows once it serves. */
  async serve(offline: OfflineServer): Promise<void> {
    const { environment, region } = await this.#services;
    const { service, root, options } = this.#start;
    const lambdaPort = Number(options.lambdaPort ?? (await freePort(3002)));
    service.provider.region = region;
    localiseEnvironment(service, {
      ...environment,
      AWS_REGION: region,
      MIGRATIONS_DIR: join(root, "migrations"),
      AGENTS_DIR: join(root, "agents"),
      // Here the queues are ours to make.
      AGENT_QUEUE_CREATE: "true",
      // The functions' alone: with it an agent could say what the control plane says.
      SIGNING_SECRET: signingSecret(this.#start.dataDir),
    });
    const taken = { routes: takeHttpRoutes(service), schedules: takeSchedules(service) };
    const given = service.custom?.["serverless-offline"];
    service.custom = { ...service.custom, "serverless-offline": { host: "127.0.0.1", lambdaPort, ...given } };
    const functions = new LocalFunctions(service, join(root, (given?.["location"] as string | undefined) ?? ""));
    // `serverless offline` without `start` ends itself with this method; everything else has to be down by then.
    const end = offline.end.bind(offline);
    offline.end = async () => await this.stop(0);
    this.#stops.push(async () => await within(DRAIN_MS, end(true), () => undefined));
    void this.#afterwards(lambdaPort, functions, taken).catch((error: unknown) => this.#fail(error));
  }

  /** Ends this process with `code` when everything is down; asked twice, it is done once. */
  async stop(code: number): Promise<void> {
    this.#stopping.abort();
    this.#stopped ??= this.abandon().then(() => process.exit(code));
    await this.#stopped;
  }

  /** Takes everything down again and leaves the process alive. */
  async abandon(): Promise<void> {
    await this.#services.catch(() => {});
    for (const stop of this.#stops.splice(0).toReversed()) await stop().catch((error: unknown) => console.error(error));
  }

  async #fail(error: unknown): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const { message } = error as Error;
    console.error(message);
    process.send?.({ failed: message } satisfies Report);
    await this.stop(1);
  }

  async #check(): Promise<DataDir> {
    const dir = takeDataDir(this.#start.dataDir);
    this.#stops.push(async () => dir.release());
    if ((await tryPort(this.#httpPort)) === undefined) throw new Error(this.#portTaken());
    return dir;
  }

  #portTaken(): string {
    const other = "npm start -- --port 3001   (or: serverless offline --httpPort 3001)";
    return `Port ${this.#httpPort} of 127.0.0.1 is taken. Stop what listens there, or choose another: ${other}`;
  }

  async #startServices(): Promise<Services> {
    const started = await startServices(this.#start.dataDir);
    this.#stops.push(started.stop);
    started.broken.catch((error: unknown) => this.#fail(error));
    return started;
  }

  /** The database is migrated before anything reaches a function. */
  async #afterwards(lambdaPort: number, functions: LocalFunctions, { routes, schedules }: Taken): Promise<void> {
    const { environment, region } = await this.#services;
    const signal = this.#stopping.signal;
    while (!(await serves(lambdaPort))) await sleep(50, undefined, { signal });
    const invoke = lambdaApi(lambdaPort);
    await invoke(this.#start.service.functions["migrate"]?.name ?? "", { command: "up" });
    const newKey = await giveKeys(this.#start.dataDir, LOCAL_AGENTS);
    await this.#feed(invoke, region);
    const { sweepSeconds } = readSettings(localSettings);
    for (const name of schedules) void runEvery(sweepSeconds, invoke, name, signal);
    const { url, llmUrl } = await this.#serveHttp(functions, routes);
    Object.assign(environment, { LLM_STREAM_URL: llmUrl });
    await this.#announce({ url, environment, newKey }, llmUrl);
  }

  /** Feeds the queues to their functions. */
  async #feed(invoke: Invoke, region: string): Promise<void> {
    const sqs = localSqs(region);
    const names = new Map(queuesOf().map((queue) => [queue.resource, queue.name]));
    const pollers: Poller[] = [];
    this.#stops.push(async () => void (await Promise.all(pollers.map((poller) => poller.stop()))));
    for (const event of queueEvents(this.#start.service)) {
      const { QueueUrl = "" } = await sqs.send(new GetQueueUrlCommand({ QueueName: names.get(event.resource) }));
      pollers.push(await startPoller(sqs, invoke, { ...event, queueUrl: QueueUrl }));
    }
  }

  /** Serves the HTTP API and, beside it, the URL of llm-stream, which it answers. */
  async #serveHttp(functions: LocalFunctions, routes: HttpRoute[]): Promise<{ url: string; llmUrl: string }> {
    const { service } = this.#start;
    const host = this.#host ?? (service.custom?.["serverless-offline"]?.["host"] as string | undefined);
    const authorize = authorizer(functions, { functionKey: AUTHORIZER, help: keyHelp(this.#start.dataDir) });
    const at = { port: this.#httpPort, host, guarded: isGuarded, authorize };
    const api = await serveHttpApi(routes, functions, at).catch((cause: unknown) => {
      throw (cause as { code?: string }).code === "EADDRINUSE" ? new Error(this.#portTaken(), { cause }) : cause;
    });
    this.#stops.push(async () => await api.stop(DRAIN_MS));
    const llm = await serveFunctionUrl(STREAM_FUNCTION, () => functions.load(STREAM_FUNCTION), {
      timeoutMs: functions.timeoutMs(STREAM_FUNCTION),
      port: await freePort(LLM_STREAM_PORT),
      host,
    });
    this.#stops.push(async () => await llm.stop());
    return { url: api.url, llmUrl: llm.url };
  }

  async #announce(ready: Ready, llmUrl: string): Promise<void> {
    const { url, environment } = ready;
    const pid = process.connected ? process.ppid : process.pid;
    // A database of the environment's too: who comes later must find the same.
    const { DATABASE_URL = "" } = process.env;
    (await this.checked).announce({ pid, url, environment: { ...environment, DATABASE_URL } });
    process.send?.({ ready } satisfies Report);
    if (!process.send)
      console.log(
        `ready ${url}, LLM streams at ${llmUrl}/llm/v1, the owner's key is in ${near(keyFile(this.#start.dataDir))}`,
      );
  }
}

/** Locally a schedule runs every few seconds instead of every minute, so that a retry is seen to happen. */
async function runEvery(seconds: number, invoke: Invoke, name: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(seconds * 1000, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const event = { source: "aws.events", "detail-type": "Scheduled Event", detail: {}, resources: [] };
    await invoke(name, event).catch((error: unknown) => {
      if (!signal.aborted) log.error("scheduled call failed", { error });
    });
  }
}
