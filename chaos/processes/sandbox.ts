import { Unavailable } from "../../lib/errors.ts";
import { within } from "../../lib/time.ts";
import type { DatabaseProxy } from "../ways/database-proxy.ts";
import type { QueueProxy } from "../ways/queue-proxy.ts";
import type { FunctionOf } from "./functions.ts";
import { HurtProcess, type ProcessOptions } from "./process.ts";
import type { Invocation, Invoked } from "./sandbox-main.ts";

type Waiting = { resolve: (answer: unknown) => void; reject: (error: Error) => void };

/** What a fault does with a call before its function gets it, and with its answer before anybody else does. */
export type AroundCall = { before?: () => Promise<void> | void; after?: () => Promise<void> | void };

/**
 * A process in which functions run, started when one is called and again after it has ended. Its way to the database and that to
 * SQS are its own.
 */
export class Sandbox {
  readonly process: HurtProcess;
  readonly database: DatabaseProxy;
  readonly queues: QueueProxy;
  around: AroundCall = {};
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;

  constructor(options: Omit<ProcessOptions, "file">, database: DatabaseProxy, queues: QueueProxy) {
    this.database = database;
    this.queues = queues;
    const env = { ...options.env, DATABASE_URL: database.url, AWS_ENDPOINT_URL_SQS: queues.endpoint };
    this.process = new HurtProcess({ ...options, env, file: "chaos/processes/sandbox-main.ts" });
    this.process.listen(
      (message) => this.#settle(message as Invoked),
      () => this.#fail(),
    );
  }

  /** Calls a function and answers what it answers. Throws what it throws, that its process has ended, or Unavailable after `maxMs`. */
  async invoke(fn: FunctionOf, event: unknown, maxMs: number): Promise<unknown> {
    await this.around.before?.();
    this.process.start();
    const id = ++this.#calls;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.process.say({ id, fn, event } satisfies Invocation);
    const ms = Math.min(fn.timeoutMs, maxMs);
    const answer = await within(ms, promise, () => {
      throw new Unavailable(`${fn.name} did not answer within ${ms / 1000} s.`);
    });
    await this.around.after?.();
    return answer;
  }

  async close(): Promise<void> {
    await this.process.stop(1_000);
    await this.database.close();
    await this.queues.close();
  }

  #settle({ id, answer, error }: Invoked): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(error));
  }

  #fail(): void {
    for (const { reject } of this.#waiting.values()) reject(new Unavailable(`${this.process.name} has ended`));
    this.#waiting.clear();
  }
}
