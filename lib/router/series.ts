// Partitions by month kept by ourselves and not by pg_partman: that is an extension, which managed Postgres need not have.
import type { Actor } from "../access/actor.ts";
import type { Db, Pool } from "../runtime/postgres/db.ts";
import type { SeriesSettings } from "./settings.ts";

/**
 * The time series, each with the column that says when and the setting that says how long; `nested` ones refer to themselves, `kept` ones
 * have a trigger that lets no row be deleted, which moving one to its month is not.
 */
const SERIES = [
  { table: "router_performance_metrics", time: "routed_at", months: "retentionMonths", nested: false, kept: false },
  { table: "agent_transformation_events", time: "occurred_at", months: "retentionMonths", nested: true, kept: false },
  { table: "audit_events", time: "at", months: "auditMonths", nested: false, kept: true },
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
async function partitionsOf(db: Db, { table, time }: Series, now?: Date): Promise<State> {
  const [state] = await db<State[]>`
    select to_char(coalesce(${now ?? null}::timestamptz, now()) at time zone 'utc', 'YYYY-MM') as month,
      array(
        select replace(right(inhrelid::regclass::text, 7), '_', '-') from pg_inherits
        where inhparent = ${table}::regclass and inhrelid <> ${`${table}_default`}::regclass
      ) as months,
      array(
        select distinct to_char(${db(time)} at time zone 'utc', 'YYYY-MM') from ${db(`${table}_default`)}
      ) as caught
  `;
  if (state === undefined) throw new Error("a select without from has one row");
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

/**
 * Made apart and attached: that locks the default partition alone, and the series itself goes on. Rows of the month that the
 * default partition caught move over first, without which Postgres refuses the partition.
 */
async function makeMonth(db: Db, series: Series, month: string): Promise<boolean> {
  const { table, time } = series;
  const name = partitionName(series, month);
  if (await exists(db, name)) return false;
  const [from, to] = boundsOf(month);
  await db`lock table ${db(`${table}_default`)} in access exclusive mode`;
  const within = db`${db(time)} >= ${from}::timestamptz and ${db(time)} < ${to}::timestamptz`;
  const [caught] = await db`select 1 from ${db(`${table}_default`)} where ${within} limit 1`;
  // A row cannot leave while others refer to it, so in this rare case the reference is taken off and put back.
  const selfReference = caught !== undefined && series.nested ? await dropSelfReference(db, series) : undefined;
  await db`create table ${db(name)} (like ${db(table)} including all)`;
  if (caught !== undefined) {
    if (series.kept) await db`alter table ${db(`${table}_default`)} disable trigger user`;
    await db`
      with moved as (delete from ${db(`${table}_default`)} where ${within} returning *)
      insert into ${db(name)} select * from moved
    `;
    if (series.kept) await db`alter table ${db(`${table}_default`)} enable trigger user`;
  }
  await db.unsafe(`alter table ${table} attach partition ${name} for values from ('${from}') to ('${to}')`);
  if (selfReference !== undefined) await db.unsafe(`alter table ${table} add ${selfReference}`);
  return true;
}

async function dropSelfReference(db: Db, { table }: Series): Promise<string | undefined> {
  const [found] = await db<{ name: string; definition: string }[]>`
    select conname as name, pg_get_constraintdef(oid) as definition from pg_constraint
    where conrelid = ${table}::regclass and confrelid = ${table}::regclass and contype = 'f' and conparentid = 0
  `;
  if (found === undefined) return undefined;
  await db`alter table ${db(table)} drop constraint ${db(found.name)}`;
  return `constraint ${found.name} ${found.definition}`;
}

/** What younger rows still refer to is forgotten first: Postgres lets go of no partition that others refer to. */
async function endMonth(db: Db, series: Series, month: string, archive: boolean): Promise<boolean> {
  const { table } = series;
  const name = partitionName(series, month);
  if (!(await exists(db, name))) return false;
  const [from, to] = boundsOf(month);
  if (archive) {
    await db`create table ${db(`${name}_archived`)} (like ${db(name)} including all)`;
    await db`insert into ${db(`${name}_archived`)} select * from ${db(name)}`;
  }
  if (series.nested) {
    await db`
      update ${db(table)} set parent_event_id = null, parent_occurred_at = null
      where parent_event_id is not null and parent_occurred_at >= ${from} and parent_occurred_at < ${to}
    `;
  }
  await db`alter table ${db(table)} detach partition ${db(name)}`;
  await db`drop table ${db(name)}`;
  return true;
}

async function exists(db: Db, name: string): Promise<boolean> {
  const [row] = await db<{ there: boolean }[]>`select to_regclass(${name}) is not null as there`;
  return row?.there === true;
}

function partitionName({ table }: Series, month: string): string {
  return `${table}_${month.replace("-", "_")}`;
}

/** The first moment of a month and that of the next. */
function boundsOf(month: string): [string, string] {
  return [`${month}-01T00:00:00Z`, `${monthAfter(month, 1)}-01T00:00:00Z`];
}

function monthAfter(month: string, count: number): string {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return new Date(Date.UTC(year, number - 1 + count, 1)).toISOString().slice(0, 7);
}
