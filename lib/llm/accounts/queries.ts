import type { Actor } from "../../access/actor.ts";
import { auditing } from "../../access/record.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { AttemptRecord, CallFacts } from "./account.ts";

/** Keeps attempts, each once however often it is told. Answers those that were new. */
export async function insertAttempts(
  db: Db,
  records: Omit<AttemptRecord, "left">[],
): Promise<{ callId: string; attemptId: string }[]> {
  // One parameter for all rows: with one for each value the statement would be another for each number of rows, and postgres.js
  // and the server keep every statement.
  const rows = records.map((record) => ({
    attempt_id: record.attemptId,
    call_id: record.callId,
    team_id: record.teamId,
    attempt_number: record.attemptNumber,
    task_id: record.taskId,
    trace_id: record.traceId,
    agent: record.agent,
    chain: record.chain,
    dialect: record.dialect,
    model: record.model,
    model_asked: record.modelAsked,
    model_served: record.modelServed,
    provider: record.provider,
    external: record.external,
    streamed: record.streamed,
    input_tokens: record.tokens?.input ?? null,
    output_tokens: record.tokens?.output ?? null,
    cache_read_tokens: record.tokens?.cacheRead ?? null,
    cache_write_tokens: record.tokens?.cacheWrite ?? null,
    reasoning_tokens: record.tokens?.reasoning ?? null,
    usage_source: record.usageSource,
    cost_usd: record.costUsd,
    cost_unknown: record.costUnknown,
    first_token_ms: record.ttftMs === null ? null : Math.round(record.ttftMs),
    latency_ms: Math.round(record.latencyMs),
    outcome: record.outcome,
    error_class: record.errorClass,
    error_status: record.errorStatus,
    started_at: record.startedAt,
  }));
  return await db<{ callId: string; attemptId: string }[]>`
    insert into llm_calls select * from jsonb_populate_recordset(null::llm_calls, ${db.json(rows)})
    on conflict do nothing
    returning call_id, attempt_id
  `;
}

/** Keeps what was said in attempts, each once. */
export async function insertTexts(
  db: Db,
  texts: { attempt_id: string; team_id: string; prompt: string; answer: string | null }[],
) {
  await db`insert into llm_texts ${db(texts)} on conflict do nothing`;
}

/** One budget of a call, with what it may come to. */
export type Scope = { scope: "task" | "agent" | "day"; scopeKey: string; limitUsd: number };

/** Makes the budgets' rows and locks them, in one order for everybody. Answers what is spent and reserved by scope. */
export async function lockSpend(
  db: Db,
  team: string,
  scopes: Scope[],
): Promise<{ scope: string; scopeKey: string; usd: number }[]> {
  const names = scopes.map(({ scope }) => scope);
  const keys = scopes.map(({ scopeKey }) => scopeKey);
  await db`
    insert into llm_spend (team_id, scope, scope_key)
    select ${team}::uuid, scope, scope_key from unnest(${names}::text[], ${keys}::text[]) as asked (scope, scope_key) order by 2, 3
    on conflict do nothing
  `;
  await db`
    select 1 from llm_spend
    where team_id = ${team} and (scope, scope_key) in (select * from unnest(${names}::text[], ${keys}::text[]))
    order by scope, scope_key
    for update
  `;
  // A statement of its own: it sees what was reserved while the locks were waited for.
  return await db<{ scope: string; scopeKey: string; usd: number }[]>`
    select scope, scope_key, (spent_usd + coalesce((
      select sum(usd) from llm_reservations as held
      where held.team_id = llm_spend.team_id and held.scope = llm_spend.scope and held.scope_key = llm_spend.scope_key and held.expires_at > now()
    ), 0))::float8 as usd
    from llm_spend
    where team_id = ${team} and (scope, scope_key) in (select * from unnest(${names}::text[], ${keys}::text[]))
  `;
}

/** Reserves `usd`, as decimal text, in each of the budgets for so many seconds. Their rows are locked by `lockSpend`. */
export async function insertReservations(
  db: Db,
  { callId, teamId }: Pick<CallFacts, "callId" | "teamId">,
  scopes: Scope[],
  usd: string,
  seconds: number,
) {
  await db`
    insert into llm_reservations (team_id, call_id, scope, scope_key, usd, expires_at)
    select ${teamId}::uuid, ${callId}, scope, scope_key, ${usd}::numeric, now() + make_interval(secs => ${seconds})
    from unnest(${scopes.map(({ scope }) => scope)}::text[], ${scopes.map(({ scopeKey }) => scopeKey)}::text[])
      as asked (scope, scope_key)
  `;
}

/** Puts what the new attempts of a call cost in place of its reservation; the reservation on top where one is unknown. */
export async function settleCall(
  db: Db,
  { callId, teamId }: Pick<CallFacts, "callId" | "teamId">,
  attemptIds: string[],
): Promise<void> {
  await db`
    with held as (
      delete from llm_reservations where team_id = ${teamId} and call_id = ${callId} returning scope, scope_key, usd
    ), cost as (
      select coalesce(sum(cost_usd), 0) as usd, coalesce(bool_or(cost_usd is null), false) as partly
      from llm_calls where attempt_id = any (${attemptIds}::uuid[])
    )
    update llm_spend
    set spent_usd = spent_usd + cost.usd + case when cost.partly then held.usd else 0 end
    from held, cost
    where llm_spend.team_id = ${teamId} and llm_spend.scope = held.scope and llm_spend.scope_key = held.scope_key
  `;
}

/** Whether calls to external vendors are allowed, since when and why; undefined where nobody has set the switch: they are. */
export async function findSwitch(db: Db) {
  type Switch = { external: boolean; reason: string | null; changedAt: Date };
  const [row] = await db<Switch[]>`select external, reason, changed_at from llm_switch`;
  return row;
}

/** What a task says about where its prompts may go, and whether external calls are on at all. */
export async function findRules(db: Db, team: string | null, taskId: string | null) {
  const [row] = await db<{ external: boolean; privacy: string | null; projectId: string | null }[]>`
    select
      coalesce((select external from llm_switch), true) as external,
      coalesce(task.hints ->> 'privacy', task.parameters ->> 'privacy') as privacy,
      task.project_id
    from (values (1)) as one (n)
    left join tasks as task on task.team_id = ${team}::uuid and task.task_id = ${taskId}::uuid
  `;
  return row;
}

/** One use of an external vendor, as its task tells it. */
type Use = { model: string; call_id: string; attempt: number };

/** Notes on its task that a prompt has left for a vendor, before anybody has answered. */
export async function noteExternalUse(db: Db, team: string, taskId: string, use: Use): Promise<void> {
  await db`
    update tasks set external_ai_used =
      bounded_ai_use(coalesce(external_ai_used, '[]') || ${db.json([{ ...use, via: "llm-route" }])}::jsonb)
    where team_id = ${team} and task_id = ${taskId}
  `;
}

/** The entry that stands for the uses that work does not keep one by one, as bounded_ai_use of the database makes it. */
const OTHERS = { model: "(others)", cut: true };

/**
 * Fills in tokens and cost of what was noted, once the attempt has ended; notes it now where that had failed. Where uses are not kept one
 * by one any more it was counted with the others, and they have its tokens and cost.
 */
export async function settleExternalUse(db: Db, record: AttemptRecord): Promise<void> {
  const use = { model: record.modelAsked, call_id: record.callId, attempt: record.attemptNumber };
  const told = {
    ...use,
    via: "llm-route",
    tokens: record.tokens === null ? null : record.tokens.input + record.tokens.output,
    cost: record.costUsd === null ? null : Number(record.costUsd),
  };
  await db`
    update tasks set external_ai_used = case
      when external_ai_used @> ${db.json([use])}::jsonb then (
        select jsonb_agg(
          case when entry @> ${db.json(use)}::jsonb then entry || ${db.json(told)}::jsonb else entry end order by n
        )
        from jsonb_array_elements(external_ai_used) with ordinality as entries (entry, n)
      )
      when external_ai_used @> ${db.json([OTHERS])}::jsonb then
        bounded_ai_use(external_ai_used || ${db.json([{ ...told, ...OTHERS, uses: 0 }])}::jsonb)
      else bounded_ai_use(coalesce(external_ai_used, '[]') || ${db.json([told])}::jsonb)
    end
    where team_id = ${record.teamId} and task_id = ${record.taskId}
  `;
}

/** Sets the switch for calls to external vendors; every instance learns of it within a second of its next call. */
export async function setSwitch(db: Db, actor: Actor, external: boolean, reason: string | null): Promise<void> {
  const event = { action: "switch.set", object: ["switch", "external"], reason, details: { external } } as const;
  await db`
    with put as (
      insert into llm_switch (external, reason) values (${external}, ${reason})
      on conflict (one) do update set external = excluded.external, reason = excluded.reason, changed_at = now()
      returning external
    )
    ${auditing(db, actor, event, db`from put`)}
  `;
}
