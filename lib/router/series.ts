// Partitions by month kept by ourselves and not by pg_partman: that is an extension, which managed Postgres need not have.
import type { Actor } from "../access/actor.ts";
import type { Db, Pool } from "../runtime/postgres/db.ts";
import type { SeriesSettings } from "./settings.ts";

/** The time series, each with the setting that says how long. Migration 0015 has what is done to their months, by whoever owns them. */
const SERIES = [
  { table: "router_performance_metrics", months: "retentionMonths" },
  { table: "agent_transformation_events", months: "retentionMonths" },
  { table: "audit_events", months: "auditMonths" },
] as const;
type Series = (typeof SERIES)[number];

/** Held while partitions change: one at a time, and the others go on without. */
const PARTITION_LOCK = 4_801_517_002;

/** A sweep must not make the product wait for it: what it cannot lock at once is done a minute later. */
const LOCK_TIMEOUT = "2s";

/**
 * Keeps the time series in months: makes the partitions of this and the next one (UTC) and of any month whose rows the default
 * partition caught, and drops or archives those older than the retention. Each change is a transaction of its own; repeats change
 * nothing. Answers the partitions that it made and ended. `now` moves the clock, for tests. Throws (55P03)
 * where a lock is not to be had within 2 s; nothing has changed then.
 */
export async function keepPartitions(
  pool: Pool,
  actor: Actor,
  settings: SeriesSettings,
  now?: Date,
): Promise<{ made: string[]; ended: string[] }> {
  const made = await makePartitions(pool, actor, now);
  const ended: string[] = [];
  for (const series of SERIES) {
    const state = await partitionsOf(pool, series, now);
    const oldest = monthAfter(state.month, -settings[series.months]);
    for (const month of [...state.months, ...state.caught].filter((kept) => kept < oldest)) {
      const archive = settings.expired === "archive";
      if (await alone(pool, (db) => endMonth(db, series, month, archive))) ended.push(partitionName(series, month));
    }
  }
  return { made, ended };
}

/**
 * Makes the partitions alone, as keepPartitions does first. A row that Postgres has sent to the default partition is refused (23514) when its month is attached
 * meanwhile, so this is also done by `migrate up`, before there are rows. Answers the names of those that it made.
 */
export async function makePartitions(pool: Pool, _actor: Actor, now?: Date): Promise<string[]> {
  const made: string[] = [];
  for (const series of SERIES) {
    const state = await partitionsOf(pool, series, now);
    const wanted = new Set([state.month, monthAfter(state.month, 1), ...state.caught]);
    for (const month of [...wanted].filter((one) => !state.months.includes(one))) {
      if (await alone(pool, (db) => makeMonth(db, series, month))) made.push(partitionName(series, month));
    }
  }
  return made;
}

type State = { month: string; months: string[]; caught: string[] };

/** This month, the months that have a partition, and those whose rows lie in the default partition; as YYYY-MM. */
async function partitionsOf(db: Db, { table }: Series, now?: Date): Promise<State> {
  const [state] = await db<State[]>`
    select to_char(coalesce(${now ?? null}::timestamptz, now()) at time zone 'utc', 'YYYY-MM') as month,
      coalesce(array_agg(month) filter (where not caught), '{}') as months,
      coalesce(array_agg(month) filter (where caught), '{}') as caught
    from series_months(${table})
  `;
  if (state === undefined) throw new Error("an aggregate without groups has one row");
  return state;
}

/** Runs it in a transaction unless another changes partitions now; answers whether it changed anything. */
async function alone(pool: Pool, run: (db: Db) => Promise<boolean>): Promise<boolean> {
  return await pool.begin(async (db) => {
    const [turn] = await db<{ mine: boolean }[]>`select pg_try_advisory_xact_lock(${PARTITION_LOCK}) as mine`;
    if (turn?.mine !== true) return false;
    await db`select set_config('lock_timeout', ${LOCK_TIMEOUT}, true)`;
    return await run(db);
  });
}

async function makeMonth(db: Db, { table }: Series, month: string): Promise<boolean> {
  const [done] = await db<{ made: boolean }[]>`select make_series_month(${table}, ${`${month}-01`}::date) as made`;
  return done?.made === true;
}

async function endMonth(db: Db, { table }: Series, month: string, archive: boolean): Promise<boolean> {
  const [done] = await db<{ ended: boolean }[]>`
    select end_series_month(${table}, ${`${month}-01`}::date, ${archive}) as ended
  `;
  return done?.ended === true;
}

function partitionName({ table }: Series, month: string): string {
  return `${table}_${month.replace("-", "_")}`;
}

function monthAfter(month: string, count: number): string {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return new Date(Date.UTC(year, number - 1 + count, 1)).toISOString().slice(0, 7);
}
