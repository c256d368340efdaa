import * as z from "zod";
import { readEnv } from "./env.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;
type Level = (typeof LEVELS)[number];
export type Fields = Record<string, unknown>;
export type Log = Record<Level, (event: string, fields?: Fields) => void> & { with: (fields: Fields) => Log };

const { LOG_LEVEL } = readEnv(z.object({ LOG_LEVEL: z.enum([...LEVELS, "silent"]).default("info") }));
const threshold = LOG_LEVEL === "silent" ? LEVELS.length : LEVELS.indexOf(LOG_LEVEL);

/** One JSON object a line: a past-tense event, with `bound` fields on every line. Never a payload, never a secret. */
function logger(bound: Fields): Log {
  const at =
    (level: Level) =>
    (event: string, fields: Fields = {}) => {
      if (LEVELS.indexOf(level) < threshold) return;
      const line = { time: new Date().toISOString(), level, event, ...bound, ...fields };
      console[level](JSON.stringify(line, (_key, value) => (value instanceof Error ? describe(value) : value)));
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (fields) => logger({ ...bound, ...fields }),
  };
}

/** The log of this process. */
export const log: Log = logger({});

function describe(error: Error): Fields {
  const { name, message, stack } = error;
  const code = (error as { code?: unknown }).code;
  return {
    name,
    message,
    ...(code === undefined ? {} : { code }),
    stack,
    ...(error.cause ? { cause: error.cause } : {}),
  };
}
