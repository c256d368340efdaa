import { setTimeout as sleep } from "node:timers/promises";
import { GetQueueUrlCommand, SQSClient } from "@aws-sdk/client-sqs";
import { authorizer } from "../../localstack/functions/authorizer.ts";
import { isGuarded } from "../../localstack/functions/guarded.ts";
import { serveHttpApi } from "../../localstack/functions/http-api.ts";
import type { Listening } from "../../localstack/functions/http-server.ts";
import { type Poller, startPoller } from "../../localstack/functions/sqs-poller.ts";
import { queuesOf } from "../../localstack/parts/queues.ts";
import { LOCAL_REGION } from "../../localstack/parts/sqs.ts";
import { type Functions, readFunctions } from "../processes/functions.ts";
import type { Sandbox } from "../processes/sandbox.ts";
import type { QueueProxy } from "../ways/queue-proxy.ts";

/** Where functions run: all of the HTTP API in one process, the others each in its own. */
export const SANDBOXES = ["api", "dispatch", "record-result", "sweep"] as const;
export type SandboxName = (typeof SANDBOXES)[number];

const LONGEST_MS = 900_000;
const SWEEP_EVERY_MS = 1_000;

/**
 * What AWS does around the functions, with the parts of the local stack that do it there: the HTTP API, the event source mappings,
 * the schedule. `mapping` is the way of the mappings to SQS.
 */
export class Cloud {
  readonly #functions: Functions;
  readonly #sandboxes: Record<SandboxName, Sandbox>;
  readonly #mapping: QueueProxy;
  readonly #stopping = new AbortController();
  readonly #paused = new Set<string>();
  #pollers: Poller[] = [];
  #api: Listening | undefined;
  #sweeping: Promise<void> | undefined;

  constructor(root: string, sandboxes: Record<SandboxName, Sandbox>, mapping: QueueProxy) {
    this.#functions = readFunctions(root);
    this.#sandboxes = sandboxes;
    this.#mapping = mapping;
  }

  get url(): string {
    return this.#api?.url ?? "";
  }

  async start(): Promise<void> {
    const invoke = async (key: string, event: unknown, maxMs = LONGEST_MS) => {
      while (this.#paused.has(key)) await sleep(100);
      const fn = this.#functions.byKey[key];
      if (fn === undefined) throw new Error(`serverless.yml has no function ${key}.`);
      const name = SANDBOXES.find((one) => one === key) ?? "api";
      return await this.#sandboxes[name].invoke(fn, event, maxMs);
    };
    const authorize = authorizer({ invoke }, { functionKey: "authorize", help: "The folder of the run has one." });
    const open = { port: 0, guarded: isGuarded, authorize };
    this.#api = await serveHttpApi(this.#functions.routes, { invoke }, open);
    const sqs = new SQSClient({
      endpoint: this.#mapping.endpoint,
      region: LOCAL_REGION,
      credentials: { accessKeyId: "local", secretAccessKey: "local" },
      useQueueUrlAsEndpoint: false,
    });
    const names = new Map(queuesOf().map(({ resource, name }) => [resource, name]));
    this.#pollers = await Promise.all(
      this.#functions.queues.map(async (source) => {
        const { QueueUrl = "" } = await sqs.send(new GetQueueUrlCommand({ QueueName: names.get(source.resource) }));
        return await startPoller(sqs, invoke, { ...source, queueUrl: QueueUrl });
      }),
    );
    this.#sweeping = this.#sweep(async () => await invoke("sweep", {}));
  }

  /** Calls of this function wait while it is paused, as behind a concurrency limit of 0. */
  pause(key: SandboxName, on: boolean): void {
    if (on) this.#paused.add(key);
    else this.#paused.delete(key);
  }

  async stop(): Promise<void> {
    this.#paused.clear();
    this.#stopping.abort();
    await this.#api?.stop();
    await Promise.race([Promise.all([...this.#pollers.map((poller) => poller.stop()), this.#sweeping]), sleep(2_000)]);
  }

  async #sweep(invoke: () => Promise<unknown>): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await invoke().catch((error: unknown) => console.error(`sweep: ${(error as Error).message}`));
      await sleep(SWEEP_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }
}
