import type * as z from "zod";
import { ConfigError } from "../errors.ts";
import { describeIssue, faultsOf } from "../input/faults.ts";

/**
 * Reads the environment once against a schema. Throws a ConfigError that names every variable that is wrong,
 * so that a bad deploy fails its first start and says why.
 */
export function readEnv<T extends z.ZodType>(schema: T, source: NodeJS.ProcessEnv = process.env): z.infer<T> {
  const given = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ""));
  const result = schema.safeParse(given, { error: describeIssue });
  if (result.success) return result.data;
  const faults = faultsOf(result.error).map(({ field, message }) => `  ${field} ${message}`);
  throw new ConfigError(`The environment is not right:\n${faults.join("\n")}\nSee .env.example for every variable.`);
}

/** Whether this process is a real Lambda, not the local stack and not a test. */
export function onLambda(source: NodeJS.ProcessEnv = process.env): boolean {
  return source["AWS_LAMBDA_RUNTIME_API"] !== undefined && source["IS_OFFLINE"] === undefined;
}
