import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";

const SCHEMA = `
  create table if not exists runs (
    request_id text primary key,
    task_id text not null,
    trace_id text not null,
    attempt integer not null,
    generation integer not null default 0,
    state text not null check (state in ('running', 'done', 'stopped')),
    custom_fields text,
    begun_at integer not null,
    updated_at integer not null
  ) strict;
  create table if not exists said (
    seq integer primary key autoincrement,
    request_id text not null references runs on delete cascade,
    last integer not null,
    body text not null,
    sent integer not null default 0
  ) strict;
  create index if not exists said_request_idx on said (request_id, sent);
  create index if not exists said_unsent_idx on said (seq) where sent = 0;
  create table if not exists cancels (task_id text primary key, attempt integer not null, updated_at integer not null) strict;
`;

/** Opens (or makes) the file, for this process alone. Throws an error that names it and says what to do. */
export function openDatabase(file: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true });
    db = new DatabaseSync(file);
    // synchronous = full: a result that was sent must still be known after a power cut, or the work would be done twice.
    db.exec(`
      pragma auto_vacuum = incremental;
      pragma locking_mode = exclusive;
      pragma journal_mode = wal;
      pragma synchronous = full;
      pragma foreign_keys = on;
      begin exclusive;
      ${SCHEMA}`);
    addColumns(db);
    db.exec("commit");
    return db;
  } catch (cause) {
    db?.close();
    throw unusable(file, cause);
  }
}

/** What is wrong with a journal at the start of its agent, and what to do. */
export function unusable(file: string, cause: unknown): Error {
  const busy = (cause as { errcode?: number }).errcode === SQLITE_BUSY;
  const todo = busy
    ? "Another agent has it open. Stop that one, or give this one a folder of its own: WAYBILL_AGENT_DATA=DIR"
    : `${(cause as Error).message}. Mend or remove it, or name another folder: WAYBILL_AGENT_DATA=DIR`;
  return new Error(`The journal ${file} cannot be opened. ${todo}`, { cause });
}

/** A journal's tables in memory, empty. */
export function openMemory(): DatabaseSync {
  const db = new DatabaseSync(":memory:");
  db.exec(SCHEMA);
  addColumns(db);
  return db;
}

/** Older journals know neither which start of a request a run is nor the token of its attempt; theirs are told without them. */
function addColumns(db: DatabaseSync): void {
  const known = db
    .prepare("select name from pragma_table_info('runs')")
    .all()
    .map(({ name }) => name);
  for (const column of ["start_id", "lease_token"]) {
    if (!known.includes(column)) db.exec(`alter table runs add column ${column} text`);
  }
  db.exec("create index if not exists runs_start_idx on runs (start_id)");
}

const SQLITE_BUSY = 5;
