import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Unavailable } from "../../lib/errors.ts";
import { within } from "../../lib/time.ts";
import { giveEachItsOwn } from "./own-process.ts";
import type { Service } from "./serverless-service.ts";

/** A function as Lambda calls it; one with response streaming takes the stream second. */
type Handler = (...args: unknown[]) => Promise<unknown>;

/** What Lambda tells a function about its call, as far as ours look at it. */
export type LocalContext = {
  awsRequestId: string;
  functionName: string;
  functionVersion: string;
  invokedFunctionArn: string;
  callbackWaitsForEmptyEventLoop: boolean;
  getRemainingTimeInMillis: () => number;
};

/** The context of a call that begins now and may take `timeoutMs`. */
export function contextOf(functionName: string, timeoutMs: number): LocalContext {
  const end = performance.now() + timeoutMs;
  return {
    awsRequestId: randomUUID(),
    functionName,
    functionVersion: "$LATEST",
    invokedFunctionArn: `arn:aws:lambda:local:000000000000:function:${functionName}`,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(end - performance.now())),
  };
}

/** Lambda's own timeout where serverless.yml gives none. */
const DEFAULT_TIMEOUT_SECONDS = 6;

/**
 * The functions of the service, by their keys in serverless.yml, run in this process from their bundles, each with an environment of
 * its own: that of this process, and what serverless.yml gives to all and to it.
 */
export class LocalFunctions {
  readonly #service: Service;
  readonly #folder: string;
  readonly #require: NodeJS.Require;
  /** `folder`: where the bundles are, laid out as the sources. The environment of the service must be the local one by now. */
  constructor(service: Service, folder: string) {
    this.#service = service;
    this.#folder = folder;
    this.#require = createRequire(join(folder, "functions"));
    const shared = { ...process.env, ...service.provider.environment };
    const environments = Object.values(service.functions).map(
      (fn) => [this.#fileOf(fn).path, { ...shared, ...fn.environment } as NodeJS.ProcessEnv] as const,
    );
    const byFile = new Map(environments);
    giveEachItsOwn((file) => byFile.get(file));
  }

  /** Seconds of serverless.yml, as milliseconds. */
  timeoutMs(key: string): number {
    const seconds = this.#function(key).timeout ?? this.#service.provider.timeout ?? DEFAULT_TIMEOUT_SECONDS;
    return seconds * 1000;
  }

  /**
   * Calls a function and answers its result. Throws what it throws, why it cannot be loaded, and Unavailable where it takes longer
   * than its timeout or `maxMs` milliseconds.
   */
  async invoke(key: string, event: unknown, maxMs: number): Promise<unknown> {
    const timeoutMs = this.timeoutMs(key);
    const context = contextOf(this.#function(key).name, timeoutMs);
    const ms = Math.min(timeoutMs, maxMs);
    const handler = this.load(key);
    return await within(ms, Promise.resolve(handler(event, context)), () => {
      throw new Unavailable(`${key} did not answer within ${ms / 1000} s.`);
    });
  }

  /** The handler of a function. serverless-offline loads by `require` too, so both have the same module. */
  load(key: string): Handler {
    const fn = this.#function(key);
    const { path, name } = this.#fileOf(fn);
    const handler = (this.#require(path) as Record<string, unknown>)[name];
    if (typeof handler !== "function") throw new Error(`${fn.handler} of serverless.yml is no function.`);
    return handler as Handler;
  }

  /** The bundle of a function, and what it exports its handler as. */
  #fileOf({ handler = "" }: { handler?: string }): { path: string; name: string } {
    const [, file = "", name = ""] = /^(.*)\.([^./]+)$/.exec(handler) ?? [];
    const extension = (this.#service.custom?.["esbuild"]?.["outputFileExtension"] as string | undefined) ?? ".js";
    return { path: join(this.#folder, file + extension), name };
  }

  #function(key: string) {
    const fn = this.#service.functions[key];
    if (fn === undefined) throw new Error(`serverless.yml has no function ${key}.`);
    return fn;
  }
}
