import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import type { RouterSettings } from "../score/settings.ts";

export type LearnSettings = Pick<RouterSettings, "ROUTER_HALF_LIFE_DAYS">;

/**
 * Learns from work that has just ended as completed or failed; call it in the transaction that ends it, once for each end. Writes
 * the outcome of each decision, what the agents have shown, their rates, and closes the events of the work. Two statements for any
 * number of tasks, sent together: the first takes the agents' turns, so that the second reads what others have learnt.
 */
export async function learn(db: Db, settings: LearnSettings, taskIds: readonly string[]): Promise<void> {
  if (taskIds.length === 0) return;
  const workers = db`select to_agent from tasks where task_id = any(${taskIds as string[]}::uuid[])`;
  await Promise.all([
    holdRates(db, workers),
    db`
      with ended as materialized (
        ${ended(db, taskIds)}
      ), decisions as (
        ${keepOutcomes(db)}
      ), events as (
        ${closeEvents(db)}
      ), added as (
        ${addPerformance(db, settings)}
      ), shown as (
        ${ratesOf(
          db,
          settings,
          db`
            select * from added
            union all
            select * from agent_performance
            where agent_name in (select agent_name from added)
              and (agent_name, work_type) not in (select agent_name, work_type from added)
          `,
        )}
      )
      ${setRates(db)}
    `,
  ]);
}

/** The work among these that has ended by its agent's doing, with the automatic quality as automaticQuality of learning.ts has it. */
const ended = (db: Db, taskIds: readonly string[]) => db`
  select task_id, routing_id, routed_at, to_agent, work_type, created_at, attempt, dispatched_at, started_at, completed_at, error_message,
    status = 'completed' as succeeded,
    case when status = 'completed' then greatest(0.5, 1 - 0.2 * greatest(0, attempts_used - 1)) else 0 end as quality,
    round(extract(epoch from case
      when started_at < completed_at then completed_at - started_at
      -- an agent that said nothing but its result
      when started_at = completed_at then greatest(interval '0', completed_at - dispatched_at)
    end) * 1000)::bigint as execution_ms
  from tasks
  where task_id = any(${taskIds as string[]}::uuid[]) and status in ('completed', 'failed') and to_agent is not null
`;

const keepOutcomes = (db: Db) => db`
  update router_performance_metrics as metrics set
    succeeded = ended.succeeded, actual_quality_score = quality, prediction_error = quality - confidence_score,
    execution_time_ms = execution_ms, completed_at = ended.completed_at,
    feedback_score = null, feedback_by = null, feedback_comment = null, feedback_at = null
  from ended
  where metrics.routing_id = ended.routing_id and metrics.routed_at = ended.routed_at
`;

/** Ends what was still open of work that has been cancelled: of that nothing is learnt. */
export async function closeCancelled(db: Db, taskId: string): Promise<void> {
  await db`
    update agent_transformation_events as event set ${openEventEnds(db)}
    from tasks
    where event.task_id = ${taskId} and tasks.task_id = ${taskId} and event.occurred_at >= tasks.created_at
      and event.completed_at is null
  `;
}

/** What was still open ends with the work; all of it came to what the work came to. */
const closeEvents = (db: Db) => db`
  update agent_transformation_events as event set
    ${openEventEnds(db)},
    quality_score = quality,
    error_message = ended.error_message
  from ended
  where event.task_id = ended.task_id and event.occurred_at >= ended.created_at and event.quality_score is null
`;

/** Whether the work has been dispatched since it was handed over: the times of the task are its target's then. */
const dispatched = (db: Db) => db`attempt > (context_snapshot ->> 'attempt')::int`;

/**
 * The times of an event that ends now: of a hand-over from its call over dispatch and first word to the end, null for what did not
 * come to pass; of a role its length.
 */
export const openEventEnds = (db: Db) => db`
  transformation_time_ms = case when event.completed_at is not null then transformation_time_ms
    when event_type = 'handover' and ${dispatched(db)} then ${milliseconds(db, db`dispatched_at - occurred_at`)} end,
  initialisation_time_ms = case when event.completed_at is not null then initialisation_time_ms
    when event_type = 'handover' and ${dispatched(db)} then ${milliseconds(db, db`started_at - dispatched_at`)} end,
  execution_time_ms = case when event.completed_at is not null then execution_time_ms
    when event_type = 'sub_role' then ${milliseconds(db, db`now() - occurred_at`)}
    when ${dispatched(db)} then ${milliseconds(db, db`now() - started_at`)} end,
  completed_at = coalesce(event.completed_at, now())
`;

const milliseconds = (db: Db, interval: Fragment) =>
  // greatest() would make 0 of null
  db`case when ${interval} is not null then greatest(0, round(extract(epoch from ${interval}) * 1000)) end::bigint`;

/** Adds outcomes as withOutcome of learning.ts does, all of one agent and work type at once. */
function addPerformance(db: Db, settings: LearnSettings): Fragment {
  const old = fade(db, settings, db`excluded.observed_at - known.observed_at`);
  const fresh = fade(db, settings, db`known.observed_at - excluded.observed_at`);
  return db`
    insert into agent_performance as known (
      agent_name, work_type, weight, success_sum, quality_weight, quality_sum, time_weight, time_ms_sum, observed_at
    )
    select to_agent, work_type, count(*), count(*) filter (where succeeded), count(*), sum(quality), count(execution_ms),
      coalesce(sum(execution_ms), 0), max(completed_at)
    from ended
    group by to_agent, work_type
    order by to_agent, work_type
    on conflict on constraint agent_performance_pkey do update set
      (weight, success_sum, quality_weight, quality_sum, time_weight, time_ms_sum, observed_at) = (
        select known.weight * old + excluded.weight * fresh, known.success_sum * old + excluded.success_sum * fresh,
          known.quality_weight * old + excluded.quality_weight * fresh, known.quality_sum * old + excluded.quality_sum * fresh,
          known.time_weight * old + excluded.time_weight * fresh, known.time_ms_sum * old + excluded.time_ms_sum * fresh,
          greatest(known.observed_at, excluded.observed_at)
        -- offset 0: otherwise the planner writes both factors out wherever they are used
        from (select ${old} as old, ${fresh} as fresh offset 0) as faded
      )
    returning known.*
  `;
}

/** 0.5 ^ (elapsed / half-life), as fade of learning.ts: 1 for the future, and nothing after 100 half-lives, before floats give up. */
function fade(db: Db, { ROUTER_HALF_LIFE_DAYS }: LearnSettings, elapsed: Fragment) {
  const halves = db`extract(epoch from ${elapsed})::float8 / ${ROUTER_HALF_LIFE_DAYS * 86_400}::float8`;
  return db`(case when ${halves} > 100 then 0 else 0.5::float8 ^ greatest(0, ${halves}) end)`;
}

/**
 * Takes these agents' turns to learn, in the order of their names, until the transaction ends; call it before a change of what they
 * have shown. A statement after it sees what others have learnt, one that waited itself would not.
 */
export async function holdRates(db: Db, agents: Fragment): Promise<void> {
  await db`
    select from agent_definitions where active and agent_name in (${agents}) order by agent_name for no key update
  `;
}

/** Sets the rates of an agent to what it has shown over all work types. */
export async function updateRates(db: Db, settings: LearnSettings, agent: string): Promise<void> {
  const shown = ratesOf(db, settings, db`select * from agent_performance where agent_name = ${agent}`);
  await db`with shown as (${shown}) ${setRates(db)}`;
}

const ratesOf = (db: Db, settings: LearnSettings, performance: Fragment) => db`
  select agent_name, sum(success_sum * factor) / nullif(sum(weight * factor), 0) as success,
    sum(quality_sum * factor) / nullif(sum(quality_weight * factor), 0) as quality,
    sum(time_ms_sum * factor) / nullif(sum(time_weight * factor), 0) as ms
  from (${performance}) as performance
    cross join lateral (select ${fade(db, settings, db`now() - observed_at`)} as factor offset 0) as faded
  group by agent_name
`;

/** From rows named `shown`. */
const setRates = (db: Db) => db`
  update agent_definitions as definition set
    success_rate = least(1, greatest(0, success)), quality_score = least(1, greatest(0, quality)),
    avg_execution_time_ms = greatest(0, round(ms))
  from shown
  where definition.agent_name = shown.agent_name and active
`;
