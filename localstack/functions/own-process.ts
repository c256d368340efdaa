/** The environment of the function whose bundle is this file; undefined for a file of no function. */
export type EnvironmentOf = (file: string) => NodeJS.ProcessEnv | undefined;

const HOOK = "waybill.process";

/**
 * Stands before each bundle. All functions share a process here; on AWS each has its own, and its own environment: so what a bundle
 * calls `process` has the environment of its function, whoever loads it, and nothing that one sets is seen by another.
 */
export const BANNER = `"use strict";
const process = globalThis[Symbol.for("${HOOK}")]?.(__filename) ?? globalThis.process;`;

/** From here on a bundle that is loaded gets the environment that `environmentOf` has for it. */
export function giveEachItsOwn(environmentOf: EnvironmentOf): void {
  const processOf = (file: string): NodeJS.Process | undefined => {
    const env = environmentOf(file);
    return env && new Proxy(process, { get: (target, name) => (name === "env" ? env : Reflect.get(target, name)) });
  };
  Object.assign(globalThis, { [Symbol.for(HOOK)]: processOf });
}
