import { expect, test } from "vitest";
import * as z from "zod";
import { readCodeEnv } from "../../agents/code/env.ts";
import { ConfigError } from "../../lib/errors.ts";
import { whole } from "../../lib/input/whole.ts";
import { seriesSettings } from "../../lib/router/settings.ts";
import { onLambda, readEnv } from "../../lib/runtime/env.ts";
import { databaseUrl, LOCAL_DATABASE_URL } from "../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { workSettings } from "../../lib/work/settings.ts";

const Env = z.object({
  QUEUE_URL: z.url(),
  MODE: z.enum(["a", "b"]),
  COUNT: whole(1, 9).default(5),
  TOKEN: z.string().min(20).optional(),
});

test("what is read is parsed, with its defaults; an empty variable is one that is not set", () => {
  const source = { QUEUE_URL: "http://q", MODE: "a", COUNT: "", TOKEN: "", OTHER: "x" };

  expect(readEnv(Env, source)).toEqual({ QUEUE_URL: "http://q", MODE: "a", COUNT: 5 });
});

test("every fault is named at once, with what to do, and no value is quoted", () => {
  const source = { MODE: "c", COUNT: "10", TOKEN: "s3cret" };

  expect(() => readEnv(Env, source)).toThrow(ConfigError);
  expect(() => readEnv(Env, source)).toThrow(
    [
      "The environment is not right:",
      "  QUEUE_URL is missing; it must be a string",
      '  MODE must be one of "a", "b"',
      "  COUNT must be a whole number from 1 to 9",
      "  TOKEN must have at least 20 characters",
      "See .env.example for every variable.",
    ].join("\n"),
  );
});

test.each(["0", "10", "-1", "1.5", " 1", "0x5", "1e0", "five", "NaN"])("%j is no whole number from 1 to 9", (COUNT) => {
  expect(() => readEnv(z.object({ COUNT: whole(1, 9) }), { COUNT })).toThrow(
    "COUNT must be a whole number from 1 to 9",
  );
});

test.each<[string, number, (source: NodeJS.ProcessEnv) => unknown]>([
  ["LEASE_SECONDS", 3600, (source) => readSettings(workSettings, source)],
  ["PICKUP_SECONDS", 86_400, (source) => readSettings(workSettings, source)],
  ["AGENT_IN_FLIGHT", 10_000, (source) => readSettings(workSettings, source)],
  ["METRICS_RETENTION_MONTHS", 1200, (source) => readSettings(seriesSettings, source)],
  ["WAYBILL_CODE_OUTPUT_BYTES", 1e12, readCodeEnv],
])("%s is refused with its range where it is not written in digits alone", (name, max, read) => {
  for (const text of ["0x10", "1e3", " 5 ", "1.0", "0", String(max + 1)]) {
    expect(() => read({ [name]: text })).toThrow(`${name} must be a whole number from 1 to ${max}\n`);
  }
  expect(() => read({ [name]: String(max) })).not.toThrow();
});

test("the local stack and a test are not Lambda", () => {
  const lambda = { AWS_LAMBDA_RUNTIME_API: "127.0.0.1:9001" };

  expect([onLambda(lambda), onLambda({ ...lambda, IS_OFFLINE: "true" }), onLambda({})]).toEqual([true, false, false]);
});

test("whatever connection string is configured is the one that is used", () => {
  for (const DATABASE_URL of ["postgres://u:p%40@h:1/d?sslmode=require", "postgresql://h/d"]) {
    expect(databaseUrl({ DATABASE_URL })).toBe(DATABASE_URL);
  }
});

test("without a connection string it is the local one, but never on Lambda", () => {
  expect(databaseUrl({})).toBe(LOCAL_DATABASE_URL);
  expect(() => databaseUrl({ AWS_LAMBDA_RUNTIME_API: "x" })).toThrow("DATABASE_URL is not set");
  expect(() => databaseUrl({ DATABASE_URL: "mysql://h" })).toThrow("DATABASE_URL must start with postgres://");
});
