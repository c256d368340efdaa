import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import type { Attempt, Work } from "./work.ts";

type WorkRow = Omit<Work, "attempts"> & { dispatchedAt: Date | null };

/** Each as it was read, so that only what changes is written. */
const asRead = new WeakMap<object, string>();

/**
 * Locks work with its attempts, in the order of the keys, so that two who hold the same work never wait for each other in a ring; and
 * the database's time, when all are held. With `skipLocked` what somebody else holds is left out.
 */
export async function holdWork(
  db: Db,
  taskIds: readonly string[],
  how: { skipLocked: boolean } = { skipLocked: false },
): Promise<{ works: Work[]; now: Date }> {
  const rows = await db<WorkRow[]>`
    select task_id, team_id, trace_id, run_id, status, stopping, to_agent, attempt, attempts_used, max_attempts, timeout_seconds, handed_back,
      not_before, ready_at, dispatched_at, started_at, lease_until, deadline, completed_at, progress, exit_code, error_message,
      ended_by, null as metrics, null as external_ai
    from tasks
    where task_id = any(${taskIds as string[]}::uuid[])
    order by task_id
    ${how.skipLocked ? db`for no key update skip locked` : db`for no key update`}
  `;
  const ids = rows.map(({ taskId }) => taskId);
  // After the lock: who held it before may have changed them.
  const [[time], known] = await Promise.all([
    db<{ now: Date }[]>`select clock_timestamp() as now`,
    // Of what others have told, what the work comes to where an attempt has failed for good; the rest is not needed, and stays as it is.
    db<(Attempt & { taskId: string })[]>`
      select task_id, attempt, agent, run_id, start_id, process, counted, requests, requested_at, taken_at, started_at, heard_at,
        lease_until, lease_tokens, said_at, asked_at, asks, told_to_stop_at, ended_at, how,
        case when how = 'failed' then reason else left(reason, 500) end as reason, exit_code,
        case when how = 'failed' then metrics::text end as metrics
      from task_attempts where task_id = any(${ids}::uuid[])
      order by task_id, attempt
    `,
  ]);
  if (time === undefined) throw new Error("the database does not tell the time");
  const of = Map.groupBy(known, ({ taskId }) => taskId);
  const works = rows.map((row) => workOf(row, of.get(row.taskId) ?? [], time.now));
  return { works, now: time.now };
}

function workOf({ dispatchedAt, ...row }: WorkRow, known: (Attempt & { taskId: string })[], now: Date): Work {
  const attempts = known.map(({ taskId: _, ...attempt }) => attempt);
  const work = { ...row, attempts };
  for (const read of [...attempts, work]) asRead.set(read, textOf(read));
  if (row.status === "executing" && attempts.every(({ attempt }) => attempt !== row.attempt)) {
    attempts.push(unkept(row, dispatchedAt ?? now, now));
  }
  return work;
}

function textOf(read: Attempt | Work): string {
  const { attempts: _, ...columns } = { attempts: undefined, ...read };
  return JSON.stringify(columns);
}

function hasChanged(read: Attempt | Work): boolean {
  return asRead.get(read) !== textOf(read);
}

/** The attempt of work that was dispatched by functions from before attempts were kept. */
function unkept(row: Omit<WorkRow, "dispatchedAt">, requestedAt: Date, now: Date): Attempt {
  const { attempt, toAgent, runId, startedAt, leaseUntil } = row;
  const nothing = {
    startId: null,
    process: null,
    leaseTokens: null,
    saidAt: null,
    askedAt: null,
    asks: 0,
    toldToStopAt: null,
    endedAt: null,
    how: null,
  };
  const times = { requestedAt, takenAt: startedAt, startedAt, heardAt: startedAt, leaseUntil: leaseUntil ?? now };
  const end = { reason: null, exitCode: null, metrics: null };
  return { attempt, agent: toAgent ?? "", runId, counted: true, requests: 1, ...nothing, ...times, ...end };
}

async function updateTasks(db: Db, works: readonly Work[]): Promise<void> {
  if (works.length === 0) return;
  const column = <K extends keyof Work>(name: K) => works.map((work) => work[name]);
  const times = (name: "readyAt" | "startedAt" | "leaseUntil" | "deadline" | "completedAt") =>
    works.map((work) => work[name]?.toISOString() ?? null);
  await db`
    update tasks set
      status = kept.status, stopping = kept.stopping, to_agent = kept.to_agent, attempt = kept.attempt,
      attempts_used = kept.attempts_used, handed_back = kept.handed_back, ready_at = kept.ready_at, started_at = kept.started_at,
      lease_until = kept.lease_until, deadline = kept.deadline, completed_at = kept.completed_at, progress = kept.progress,
      exit_code = kept.exit_code, error_message = kept.error_message, ended_by = kept.ended_by,
      actual_resources = case when kept.metrics is null then tasks.actual_resources else nullif(kept.metrics::jsonb, 'null') end,
      external_ai_used = ${mergedAiUse(db)}, ${approvalOf(db)}
    from unnest(
      ${column("taskId")}::uuid[], ${column("status")}::text[]::task_status[], ${column("stopping")}::text[],
      ${column("toAgent")}::text[], ${column("attempt")}::int[], ${column("attemptsUsed")}::int[],
      ${column("handedBack")}::int[], ${times("readyAt")}::timestamptz[], ${times("startedAt")}::timestamptz[],
      ${times("leaseUntil")}::timestamptz[], ${times("deadline")}::timestamptz[], ${times("completedAt")}::timestamptz[],
      ${column("progress")}::real[], ${column("exitCode")}::int[], ${column("errorMessage")}::text[],
      ${column("endedBy")}::int[], ${column("metrics")}::text[], ${column("externalAi")}::text[]
    ) as kept (
      task_id, status, stopping, to_agent, attempt, attempts_used, handed_back, ready_at, started_at, lease_until, deadline,
      completed_at, progress, exit_code, error_message, ended_by, metrics, external_ai
    )
    where tasks.task_id = kept.task_id
  `;
}

/**
 * Work that waits for a person again, since its agent found nobody to hand it to, may be completed by what an earlier attempt says late.
 * That attempt was approved: by whom decided so last, or else by policy.
 */
function approvalOf(db: Db) {
  const last = (column: Fragment) => db`(
    select ${column} from task_decisions as said
    where said.task_id = tasks.task_id and said.decision = 'approve'
    order by decision_id desc limit 1
  )`;
  const kept = (column: Fragment, approved: Fragment) => db`
    ${column} = case when kept.status = 'completed' and tasks.approved_by is null then ${approved} else tasks.${column} end
  `;
  return db`
    ${kept(db`approved_by`, db`coalesce(${last(db`decided_by`)}, 'policy')`)},
    ${kept(db`approved_at`, db`coalesce(${last(db`decided_at`)}, tasks.created_at)`)}
  `;
}

/**
 * What is known stays: what earlier attempts told (each attempt ends once, so nothing is added twice), and what the LLM gateway
 * noted itself. Of what the agent tells now, models that went through the gateway are left out: it has measured them.
 */
function mergedAiUse(db: Db) {
  return db`
    case
      when kept.external_ai is null then tasks.external_ai_used
      else bounded_ai_use(coalesce(tasks.external_ai_used, '[]') || (
        select coalesce(jsonb_agg(told.entry), '[]')
        from jsonb_array_elements(kept.external_ai::jsonb) as told (entry)
        where not exists (
          select from jsonb_array_elements(tasks.external_ai_used) as noted (entry)
          where noted.entry ->> 'via' = 'llm-route' and noted.entry ->> 'model' = told.entry ->> 'model'
        )
      ))
    end
  `;
}

/** A reason or metrics that are not told again stay. */
async function keepAttempts(
  db: Db,
  attempts: readonly (Attempt & { taskId: string; teamId: string })[],
): Promise<void> {
  if (attempts.length === 0) return;
  const column = <K extends keyof Attempt | "taskId" | "teamId">(name: K) => attempts.map((attempt) => attempt[name]);
  const times = (
    name:
      | "requestedAt"
      | "takenAt"
      | "startedAt"
      | "heardAt"
      | "leaseUntil"
      | "saidAt"
      | "askedAt"
      | "toldToStopAt"
      | "endedAt",
  ) => attempts.map((attempt) => attempt[name]?.toISOString() ?? null);
  await db`
    insert into task_attempts as known (
      task_id, team_id, attempt, agent, run_id, start_id, process, counted, requests, requested_at, taken_at, started_at, heard_at,
      lease_until, lease_tokens, said_at, asked_at, asks, told_to_stop_at, ended_at, how, reason, exit_code, metrics
    )
    select task_id, team_id, attempt, agent, run_id, start_id, process, counted::boolean, requests, requested_at, taken_at, started_at, heard_at,
      lease_until, string_to_array(lease_tokens, ','), said_at, asked_at, asks, told_to_stop_at, ended_at, how, reason, exit_code, metrics::jsonb
    from unnest(
      ${column("taskId")}::uuid[], ${column("teamId")}::uuid[], ${column("attempt")}::int[], ${column("agent")}::text[], ${column("runId")}::uuid[],
      ${column("startId")}::uuid[], ${column("process")}::text[], ${column("counted").map(String)}::text[],
      ${column("requests")}::int[], ${times("requestedAt")}::timestamptz[], ${times("takenAt")}::timestamptz[],
      ${times("startedAt")}::timestamptz[], ${times("heardAt")}::timestamptz[], ${times("leaseUntil")}::timestamptz[],
      ${attempts.map(({ leaseTokens }) => leaseTokens?.join(",") ?? null)}::text[], ${times("saidAt")}::timestamptz[],
      ${times("askedAt")}::timestamptz[], ${column("asks")}::int[], ${times("toldToStopAt")}::timestamptz[], ${times("endedAt")}::timestamptz[],
      ${column("how")}::text[], ${column("reason")}::text[], ${column("exitCode")}::int[], ${column("metrics")}::text[]
    ) as told (
      task_id, team_id, attempt, agent, run_id, start_id, process, counted, requests, requested_at, taken_at, started_at, heard_at,
      lease_until, lease_tokens, said_at, asked_at, asks, told_to_stop_at, ended_at, how, reason, exit_code, metrics
    )
    on conflict on constraint task_attempts_pkey do update set
      start_id = excluded.start_id, process = excluded.process, counted = excluded.counted, requests = excluded.requests,
      taken_at = excluded.taken_at,
      started_at = excluded.started_at, heard_at = excluded.heard_at, lease_until = excluded.lease_until,
      lease_tokens = excluded.lease_tokens, said_at = excluded.said_at,
      asked_at = excluded.asked_at, asks = excluded.asks, told_to_stop_at = excluded.told_to_stop_at, ended_at = excluded.ended_at, how = excluded.how,
      reason = case when excluded.ended_at = known.ended_at then known.reason else excluded.reason end,
      exit_code = excluded.exit_code, metrics = coalesce(excluded.metrics, known.metrics)
  `;
}

/** Keeps what has changed of work that was locked by holdWork, and of its attempts. */
export async function keepWork(db: Db, works: readonly Work[]): Promise<void> {
  const attempts = works.flatMap(({ taskId, teamId, attempts: all }) =>
    all.filter(hasChanged).map((attempt) => ({ ...attempt, taskId, teamId })),
  );
  const changed = works.filter(hasChanged);
  for (const work of works) for (const read of [...work.attempts, work]) asRead.set(read, textOf(read));
  // Sent together, run in this order.
  await Promise.all([updateTasks(db, changed), keepAttempts(db, attempts)]);
}
