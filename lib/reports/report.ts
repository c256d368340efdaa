import * as z from "zod";
import type { Actor } from "../access/actor.ts";
import { ofTeam } from "../access/of-team.ts";
import { CallerError } from "../errors.ts";
import { faultsOf } from "../input/faults.ts";
import { whole } from "../input/whole.ts";
import type { Db, Fragment } from "../runtime/postgres/db.ts";
import { toWire } from "../work/core/wire.ts";

/** What a report answers: the parameters as they were understood, and rows that end in `truncated` where `limit` cut them. */
export type Answered = {
  parameters: Record<string, unknown>;
  truncated: boolean;
  rows: Record<string, unknown>[];
  /** Of a report that takes a cursor: that of the next page, null where there is none. */
  next_cursor?: string | null;
};

/** One question about what happened, with the parameters that it takes and the rows that it answers. */
export type Report = {
  title: string;
  parameters: z.ZodObject;
  row: z.ZodObject;
  /** Throws a CallerError for parameters that are wrong or not of this report. `now` moves the clock, for tests. */
  run: (db: Db, actor: Actor, given: Record<string, unknown>, now?: Date) => Promise<Answered>;
};

/** A condition: the row is of the team that asks; the table where the statement has several. */
export type Mine = (table?: string) => Fragment;

/**
 * Makes a report of its schemas and its query. A query with a `limit` is asked for one row more, to see whether it is cut. Where it takes
 * a `cursor`, each of its rows has that of the rows after it.
 */
export function report<P extends z.ZodObject>(spec: {
  title: string;
  parameters: P;
  row: z.ZodObject;
  query: (db: Db, parameters: z.infer<P>, mine: Mine, now: Date | undefined) => Promise<Record<string, unknown>[]>;
}): Report {
  const { title, row, query } = spec;
  return {
    title,
    parameters: spec.parameters,
    row,
    run: async (db, actor, given, now) => {
      const parameters = parse(spec.parameters, given);
      const limit = limitOf(parameters);
      const found = await query(
        db,
        { ...parameters, ...(limit === undefined ? {} : { limit: limit + 1 }) },
        (table) => ofTeam(db, actor, table),
        now,
      );
      const page = found.slice(0, limit).map(toWire);
      const truncated = page.length < found.length;
      if (!("cursor" in spec.parameters.shape)) return { parameters, truncated, rows: page };
      const rows = page.map(({ cursor: _, ...cells }) => cells);
      return { parameters, truncated, rows, next_cursor: truncated ? String(page.at(-1)?.["cursor"]) : null };
    },
  };
}

function parse<P extends z.ZodObject>(schema: P, given: Record<string, unknown>): z.infer<P> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const fields = faultsOf(parsed.error);
  const faults = fields.map(({ field, message }) => `${field} ${message}`).join("; ");
  const names = Object.keys(schema.shape);
  const takes = names.length === 0 ? "no parameters" : names.join(", ");
  throw new CallerError(400, "invalid_input", `${faults}. This report takes ${takes}.`, { fields });
}

function limitOf(parameters: Record<string, unknown>): number | undefined {
  const limit = parameters["limit"];
  return typeof limit === "number" ? limit : undefined;
}

/** How many days back a report looks: that many times 24 hours before now. */
export const Days = whole(1, 365).describe("how many days back, each of 24 hours");

/** How many rows at most; more than these would not fit into one answer. */
export const Limit = whole(1, 500).describe("how many rows at most");

/** The parameters that most reports take. */
export const days = Days.default(7);
export const limit = Limit.default(100);

/** Columns that many rows share. */
export const Time = z.iso.datetime({ offset: true });
export const Count = z.int().min(0);
export const Milliseconds = z.number().describe("milliseconds");
export const Rate = z
  .number()
  .min(0)
  .max(1)
  .nullable()
  .describe("completed / (completed + failed); null where none ended");

/** The present by the database's clock, or `now` where a test moves it. */
export function clock(db: Db, now: Date | undefined) {
  return db`coalesce(${now ?? null}::timestamptz, now())`;
}

/** When the last `days` days began. Hours, because a day of an interval is 23 to 25 of them, by the session's time zone. */
export function since(db: Db, dayCount: number, now: Date | undefined) {
  return db`(${clock(db, now)} - make_interval(hours => 24 * ${dayCount}::int))`;
}

/** When a task last got anywhere: its end, or else the start of its latest attempt, or else when it was ready or submitted. */
export function lastMoment(db: Db) {
  return db`coalesce(completed_at, started_at, dispatched_at, ready_at, created_at)`;
}

/** How long the latest attempt ran, in milliseconds; null before its start. */
export function runMs(db: Db, now: Date | undefined) {
  return db`round(extract(epoch from coalesce(completed_at, ${clock(db, now)}) - started_at) * 1000)::float8`;
}
