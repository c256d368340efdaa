import * as z from "zod";
import { ConfigError } from "../errors.ts";

/**
 * Reads the environment once against a schema. Throws a ConfigError that names every variable that is wrong,
 * so that a bad deploy fails its first start and says why.
 */
export function readEnv<T extends z.ZodType>(schema: T, source: NodeJS.ProcessEnv = process.env): z.infer<T> {
  const given = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ""));
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
  throw new ConfigError(`The environment is not complete:\n${faults.join("\n")}\nSee .env.example for every variable.`);
}

/** Whether this process is a real Lambda, not the local stack and not a test. */
export function onLambda(source: NodeJS.ProcessEnv = process.env): boolean {
  return source["AWS_LAMBDA_RUNTIME_API"] !== undefined && source["IS_OFFLINE"] === undefined;
}

/** A whole number in a variable. */
export function integer(min: number, max: number, otherwise: number): z.ZodType<number> {
  return z.coerce.number().int().min(min).max(max).default(otherwise);
}
