// Own, though pino and Powertools have loggers: one line of JSON without a prefix, no property of an error that may hold a query or a
// secret, and nothing to load (pino is 0.5 MB installed).
import * as z from "zod";
import { readSettings, setting } from "./settings.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;
type Level = (typeof LEVELS)[number];
export type Fields = Record<string, unknown>;
export type Log = Record<Level, (event: string, fields?: Fields) => void> & {
  /** Writes what CloudWatch makes metrics of (metrics.ts), whatever the level but silent. */
  metrics: (event: string, fields: Fields) => void;
  with: (fields: Fields) => Log;
};

/** How much the log says. */
export const logSettings = {
  level: setting({
    env: "LOG_LEVEL",
    takes: z.enum([...LEVELS, "silent"]),
    default: "info",
    says: "debug, info, warn, error or silent.",
  }),
  stage: setting({
    env: "WAYBILL_STAGE",
    takes: z.string().regex(/^[\x21-\x7e]{1,100}$/),
    default: "local",
    says: "Which deployment the metrics of the sweep are of. A deploy sets it.",
  }),
};

let least: number | undefined;

/** The first level that is written, read with the first line: importing this file reads nothing. */
function threshold(): number {
  if (least === undefined) {
    const { level } = readSettings(logSettings);
    least = level === "silent" ? LEVELS.length : LEVELS.indexOf(level);
  }
  return least;
}

/** One JSON object a line: a past-tense event, with `bound` fields on every line. Never a payload, never a secret. */
function logger(bound: Fields): Log {
  const at =
    (level: Level, rank = LEVELS.indexOf(level)) =>
    (event: string, fields: Fields = {}) => {
      if (rank < threshold()) return;
      // Not console: on Lambda it puts a prefix before the JSON. Not stdout: that is for what a command answers.
      process.stderr.write(`${lineOf({ time: new Date().toISOString(), level, event, ...bound, ...fields })}\n`);
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    metrics: at("info", LEVELS.length - 1),
    with: (fields) => logger({ ...bound, ...fields }),
  };
}

/** The log of this process. */
export const log: Log = logger({});

const MAX_TEXT = 2_000;

/** A key of ours, wherever a caller has put it: its public part may be told. */
const KEY = /(wb_[0-9A-Za-z]{12}_)[0-9A-Za-z]{8,43}/g;

/** One line of JSON, whatever the fields hold: a line that cannot be written must not become the error of the call. Keys of ours are cut. */
export function lineOf(fields: Fields): string {
  return written(fields).replaceAll(KEY, "$1…");
}

function written(fields: Fields): string {
  const open: unknown[] = [];
  try {
    return JSON.stringify(fields, function (this: Fields, key: string, value: unknown) {
      while (open.length > 0 && open.at(-1) !== this) open.pop();
      const given = this[key] instanceof Error ? describe(this[key]) : value;
      if (typeof given === "bigint") return String(given);
      if (typeof given === "string" && given.length > MAX_TEXT) return `${given.slice(0, MAX_TEXT)}…`;
      if (typeof given !== "object" || given === null) return given;
      if (open.includes(given) || open.length > MAX_DEPTH) return "[nested too deep]";
      open.push(given);
      return given;
    });
  } catch (error) {
    const { time, level, event } = fields;
    return JSON.stringify({ time, level, event, unwritable: (error as Error).message });
  }
}

const MAX_DEPTH = 10;

/**
 * An error as fields: never its own properties, as those of postgres.js hold the query and its parameters, and its stack
 * without the message. Where the message quotes a value that was given to us, the quotation is cut out.
 */
function describe(error: Error): Fields {
  const { code, constraint_name } = error as { code?: unknown; constraint_name?: unknown };
  const quotes = error instanceof SyntaxError || (typeof code === "string" && DATA_EXCEPTION.test(code));
  const frames = error.stack?.split("\n").filter((line) => /^\s+at /.test(line));
  return {
    name: error.name,
    message: quotes ? error.message.replace(/["\u00ab'].*["\u00bb']/s, '"…"') : error.message,
    ...(code === undefined ? {} : { code }),
    ...(constraint_name === undefined ? {} : { constraint: constraint_name }),
    stack: frames?.map((frame) => frame.trim()).slice(0, 10),
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  };
}

/** SQLSTATE class 22: `invalid input syntax for type uuid: "…"` and the like. */
const DATA_EXCEPTION = /^22...$/;
