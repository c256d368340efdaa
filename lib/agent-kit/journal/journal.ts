import type { DatabaseSync } from "node:sqlite";
import type { WorkRequestMessage, WorkResult, WorkStatus } from "../../protocol/messages.ts";
import { uuidOf } from "../../runtime/ids.ts";

/** Something said about a run, without its attempt and who says it: that is put in when it is sent. */
export type Said =
  | { type: "work_status"; payload: Omit<WorkStatus, Sent> }
  | { type: "work_result"; payload: Omit<WorkResult, Sent> };
type Sent = "attempt" | "lease_token" | "start_id" | "process";

/** running: being done, or a crash ended it · done: answered for good · stopped: this attempt is over, another starts from nothing. */
export type RunState = "running" | "done" | "stopped";

/** A run as the journal knows it. */
export type Found = { requestId: string; state: RunState; attempt: number };

/** One thing to send: what was said, and the run's envelope as it is now. */
export type Unsent = {
  seq: number;
  generation: number;
  messageId: string;
  requestId: string;
  traceId: string;
  attempt: number;
  /** Both undefined for a run of a journal that did not know them yet. */
  startId: string | undefined;
  leaseToken: string | undefined;
  customFields: Record<string, unknown> | undefined;
  said: Said;
};

/** A run that a crash cut off, and the steps of it that were told as running, in order. */
export type Interrupted = {
  requestId: string;
  taskId: string;
  attempt: number;
  openSteps: { step_number: number; action: string }[];
};

/** The memory of one agent on its own disk: what it was asked, all it said about it, and what has been sent. */
export class Journal {
  readonly #db: DatabaseSync;
  readonly #statements: ReturnType<typeof statementsOf>;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#statements = statementsOf(db);
  }

  /** How far the run is; undefined where there is none. */
  find(requestId: string): Found | undefined {
    return this.#statements.find.get(requestId) as Found | undefined;
  }

  /** The same, by one start of it. */
  findStart(startId: string): Found | undefined {
    return this.#statements.findStart.get(startId) as Found | undefined;
  }

  /** Starts a run from nothing: what an earlier attempt left is forgotten. */
  begin({ request_id, trace_id, payload, x_custom_fields }: WorkRequestMessage, startId: string): void {
    const { task_id, attempt, lease_token = null } = payload;
    const custom = x_custom_fields === undefined ? null : JSON.stringify(x_custom_fields);
    this.transaction(() => {
      this.#statements.deleteRun.run(request_id);
      const now = Date.now();
      this.#statements.insertRun.run(request_id, task_id, trace_id, attempt, custom, now, now, startId, lease_token);
    });
  }

  /** Keeps one thing to send. `last` closes the run and is sent after everything else; the state says how it ended. */
  say(requestId: string, said: Said, last?: Exclude<RunState, "running">): void {
    this.transaction(() => {
      this.#statements.insertSaid.run(requestId, last === undefined ? 0 : 1, JSON.stringify(said));
      if (last !== undefined) this.#statements.setState.run(last, Date.now(), requestId);
    });
  }

  /** Everything said for the run is to be sent again, under this attempt, with its token where it has another, and new message ids. */
  replay(requestId: string, attempt: number, leaseToken?: string): void {
    this.transaction(() => {
      this.#statements.raise.run(attempt, leaseToken ?? null, Date.now(), requestId);
      this.#statements.sayAgain.run(requestId);
    });
  }

  /** What a run that has ended said last is to be sent again, under a new message id. */
  repeatLast(requestId: string): void {
    this.transaction(() => {
      this.#statements.nextGeneration.run(Date.now(), requestId);
      this.#statements.sayLastAgain.run(requestId);
    });
  }

  /** What is to be sent next, oldest first, at most `limit`. */
  unsent(limit: number): Unsent[] {
    return (this.#statements.unsent.all(limit) as UnsentRow[]).map(toUnsent);
  }

  /** They need not be sent again; what was replayed meanwhile still is. */
  markSent(rows: Pick<Unsent, "seq" | "generation">[]): void {
    this.transaction(() => {
      for (const { seq, generation } of rows) this.#statements.markSent.run(seq, generation);
    });
  }

  /** Remembers that attempts up to this one are not wanted any more. */
  cancel(taskId: string, attempt: number): void {
    this.#statements.insertCancel.run(taskId, attempt, Date.now());
  }

  /** Whether this attempt is not wanted any more. */
  isCancelled(taskId: string, attempt: number): boolean {
    return this.#statements.findCancel.get(taskId, attempt) !== undefined;
  }

  /** Runs that a crash cut off. */
  interrupted(): Interrupted[] {
    return interrupted(this.#db);
  }

  /** Forgets what ended before `time` (milliseconds) and has been sent. */
  forgetBefore(time: number): void {
    this.transaction(() => forgetBefore(this.#db, time));
    this.#db.exec("pragma incremental_vacuum");
  }

  /** Throws where there is no room for a megabyte. */
  probe(): void {
    this.#db.prepare("insert into cancels values (?, 0, 0)").run("probe".padEnd(1_000_000));
    this.#db.exec("delete from cancels where task_id like 'probe%'");
  }

  /** Lets another process open it. */
  close(): void {
    this.#db.close();
  }

  /** Writes all of it, or nothing; within another, as a part of that. */
  transaction<T>(run: () => T): T {
    if (this.#db.isTransaction) return run();
    this.#db.exec("begin immediate");
    try {
      const value = run();
      this.#db.exec("commit");
      return value;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("rollback");
      throw error;
    }
  }
}

const FOUND = 'request_id as "requestId", state, attempt';

/** All that the journal asks its file more than once, prepared. */
function statementsOf(db: DatabaseSync) {
  return {
    insertSaid: db.prepare("insert into said (request_id, last, body) values (?, ?, ?)"),
    setState: db.prepare("update runs set state = ?, updated_at = ? where request_id = ?"),
    find: db.prepare(`select ${FOUND} from runs where request_id = ?`),
    findStart: db.prepare(`select ${FOUND} from runs where start_id = ?`),
    insertRun: db.prepare(`
      insert into runs (request_id, task_id, trace_id, attempt, state, custom_fields, begun_at, updated_at, start_id, lease_token)
      values (?, ?, ?, ?, 'running', ?, ?, ?, ?, ?)`),
    deleteRun: db.prepare("delete from runs where request_id = ?"),
    raise: db.prepare(`
      update runs set attempt = ?, lease_token = coalesce(?, lease_token), generation = generation + 1, updated_at = ?
      where request_id = ?`),
    nextGeneration: db.prepare("update runs set generation = generation + 1, updated_at = ? where request_id = ?"),
    sayLastAgain: db.prepare("update said set sent = 0 where request_id = ? and last = 1"),
    sayAgain: db.prepare("update said set sent = 0 where request_id = ?"),
    // The last word waits until the queue has taken the others: who sees the result finds the output complete sooner.
    unsent: db.prepare(`
      select seq, generation, request_id, trace_id, attempt, start_id, lease_token, custom_fields, begun_at, body
      from said join runs using (request_id)
      where sent = 0 and (last = 0 or not exists (
        select 1 from said before where before.request_id = said.request_id and before.sent = 0 and before.seq < said.seq
      ))
      order by seq limit ?`),
    markSent: db.prepare(`
      update said set sent = 1
      where seq = ? and exists (select 1 from runs where runs.request_id = said.request_id and generation = ?)`),
    insertCancel: db.prepare(`
      insert into cancels (task_id, attempt, updated_at) values (?, ?, ?)
      on conflict do update set attempt = max(attempt, excluded.attempt), updated_at = excluded.updated_at`),
    findCancel: db.prepare("select 1 from cancels where task_id = ? and attempt >= ?"),
  };
}

type UnsentRow = {
  seq: number;
  generation: number;
  request_id: string;
  trace_id: string;
  attempt: number;
  start_id: string | null;
  lease_token: string | null;
  custom_fields: string | null;
  begun_at: number;
  body: string;
};

function toUnsent(row: UnsentRow): Unsent {
  const { seq, generation, request_id, trace_id, attempt, start_id, lease_token, custom_fields, begun_at, body } = row;
  return {
    seq,
    generation,
    // The same each time this is tried, another one when it is replayed.
    messageId: uuidOf(`${request_id}/${begun_at}/${seq}/${generation}`),
    requestId: request_id,
    traceId: trace_id,
    attempt,
    startId: start_id ?? undefined,
    leaseToken: lease_token ?? undefined,
    customFields: custom_fields === null ? undefined : (JSON.parse(custom_fields) as Record<string, unknown>),
    said: JSON.parse(body) as Said,
  };
}

function interrupted(db: DatabaseSync): Interrupted[] {
  const runs = db.prepare("select request_id, task_id, attempt from runs where state = 'running'").all();
  const openSteps = db.prepare(`
    select cast(body ->> '$.payload.step.step_number' as integer) as step_number, min(body ->> '$.payload.step.action') as action
    from said where request_id = ? and body ->> '$.payload.step.step_number' is not null
    group by 1 having max(body ->> '$.payload.step.status' <> 'running') = 0 order by 1`);
  return runs.map((run) => ({
    requestId: String(run["request_id"]),
    taskId: String(run["task_id"]),
    attempt: Number(run["attempt"]),
    openSteps: openSteps.all(run["request_id"] ?? null) as Interrupted["openSteps"],
  }));
}

function forgetBefore(db: DatabaseSync, time: number): void {
  db.prepare(`
    delete from runs where state <> 'running' and updated_at < ?
    and not exists (select 1 from said where said.request_id = runs.request_id and sent = 0)`).run(time);
  db.prepare("delete from cancels where updated_at < ?").run(time);
}
