import type { DatabaseSync } from "node:sqlite";

/** Runs that a journal must know to go on: those that run, and those of which something is not sent. */
export function unfinished(db: DatabaseSync): string[] {
  const rows = db
    .prepare(
      "select request_id from runs where state = 'running' or request_id in (select request_id from said where sent = 0)",
    )
    .all();
  return rows.map((row) => String(row["request_id"]));
}

/** Every run of a journal. */
export function allRuns(db: DatabaseSync): string[] {
  return db
    .prepare("select request_id from runs")
    .all()
    .map((row) => String(row["request_id"]));
}

/** How much of what was said of a run: all of it, or what is not sent. */
export type Which = "all" | "unsent";

/** Copies a run and what was said of it, by its numbers; a run of the same request that began at another time makes way. */
export function copyRun(from: DatabaseSync, to: DatabaseSync, requestId: string, which: Which): void {
  const run = from.prepare("select * from runs where request_id = ?").get(requestId);
  if (run === undefined) return;
  to.prepare("delete from runs where request_id = ? and begun_at <> ?").run(requestId, run["begun_at"] ?? null);
  insert(to, "runs", "request_id", run, "update");
  copySaid(from, to, requestId, which, "update");
}

/** Copies what was said of a run that both know; of what both have, `to` keeps its own or takes that of `from`. */
export function copySaid(
  from: DatabaseSync,
  to: DatabaseSync,
  requestId: string,
  which: Which,
  known: "keep" | "update",
): void {
  const said = from.prepare("select * from said where request_id = ? and (sent = 0 or ?) order by seq");
  for (const row of said.all(requestId, which === "all" ? 1 : 0)) insert(to, "said", "seq", row, known);
}

/** Copies the cancels that are remembered. */
export function copyCancels(from: DatabaseSync, to: DatabaseSync): void {
  for (const row of from.prepare("select * from cancels").all()) insert(to, "cancels", "task_id", row, "update");
}

/** The highest number that anything in it has had, 0 where there was nothing. */
export function lastNumber(db: DatabaseSync): number {
  const row = db
    .prepare("select max(seq) as last from (select seq from said union all select seq from sqlite_sequence)")
    .get();
  return Number(row?.["last"] ?? 0);
}

/** What is numbered from here on has a higher number than `last`. */
export function numberAfter(db: DatabaseSync, last: number): void {
  db.prepare("insert into sqlite_sequence (name, seq) values ('said', ?)").run(last);
}

type Row = ReturnType<ReturnType<DatabaseSync["prepare"]>["all"]>[number];

function insert(db: DatabaseSync, table: string, key: string, row: Row, known: "keep" | "update"): void {
  const names = Object.keys(row);
  const places = names.map(() => "?").join(", ");
  const changes = names.filter((name) => name !== key).map((name) => `${name} = excluded.${name}`);
  const conflict = known === "keep" ? "nothing" : `update set ${changes.join(", ")}`;
  const sql = `insert into ${table} (${names.join(", ")}) values (${places}) on conflict (${key}) do ${conflict}`;
  db.prepare(sql).run(...(Object.values(row) as (string | number | null)[]));
}
