import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import type { RouterSettings } from "../settings.ts";
import { openHandoverEnds } from "./handover-times.ts";

/** How fast what was learnt fades. */
export type LearnSettings = Pick<RouterSettings, "halfLifeDays">;

/**
 * Learns from work that has just ended as completed or failed; call it in the transaction that ends it, once for each end. Writes
 * the outcome of each decision, what the agents have shown, their rates, and closes the handovers of the work. Three statements for
 * any number of tasks, sent together: the first takes the agents' turns, so that the others read what others have learnt.
 */
export async function learn(db: Db, settings: LearnSettings, taskIds: readonly string[]): Promise<void> {
  if (taskIds.length === 0) return;
  const workers = db`select to_agent from tasks where task_id = any(${taskIds as string[]}::uuid[])`;
  await Promise.all([holdRates(db, workers), addOutcomes(db, settings, taskIds), forgetMost(db, workers)]);
}

async function addOutcomes(db: Db, settings: LearnSettings, taskIds: readonly string[]): Promise<void> {
  await db`
    with ended as materialized (
      ${ended(db, taskIds)}
    ), decisions as (
      ${keepOutcomes(db)}
    ), handovers as (
      ${endHandovers(db)}
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
  `;
}

/** An agent is known in so many types of work, the latest: callers write whatever types they like. */
const MOST_WORK_TYPES = 200;

/** Forgets what these agents have shown in further types of work, those of long ago first. */
async function forgetMost(db: Db, agents: Fragment): Promise<void> {
  await db`
    delete from agent_performance as known
    using (
      select agent_name, work_type, row_number() over (partition by agent_name order by observed_at desc, work_type) as place
      from agent_performance where agent_name in (${agents})
    ) as ranked
    where place > ${MOST_WORK_TYPES} and known.agent_name = ranked.agent_name and known.work_type = ranked.work_type
  `;
}

/**
 * The work among these that has ended by its agent's doing. Its quality, while no person has spoken: 1 where it was done at the first
 * attempt, 0.2 less for each further one that counted, at least 0.5; 0 where it has failed. execution_ms null: it never ran.
 */
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

/** What was still open ends with the work; all of it came to what the work came to. */
const endHandovers = (db: Db) => db`
  update agent_transformation_events as handover set
    ${openHandoverEnds(db)},
    quality_score = quality,
    error_message = ended.error_message
  from ended
  where handover.task_id = ended.task_id and handover.occurred_at >= ended.created_at and handover.quality_score is null
`;

/**
 * Adds outcomes, all of one agent and work type at once. With t = the later of the sums' and the outcome's instants, every sum becomes
 *   sum * 0.5 ^ ((t - observed_at) / half-life) + value * 0.5 ^ ((t - completed_at) / half-life)
 * and observed_at becomes t. So an outcome told late counts what it would count, had it been told in time: the order does not matter.
 */
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

/** 0.5 ^ (elapsed / half-life), as fade of fading.ts: 1 for the future, and nothing after 100 half-lives, before floats give up. */
function fade(db: Db, { halfLifeDays }: LearnSettings, elapsed: Fragment) {
  const halves = db`extract(epoch from ${elapsed})::float8 / ${halfLifeDays * 86_400}::float8`;
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
