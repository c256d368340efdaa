import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import type { TakenBack } from "../../work/core/router-seam.ts";
import { FEEDBACK_WEIGHT } from "../score/fading.ts";
import type { RouterSettings } from "../settings.ts";
import { openHandoverEnds } from "./handover-times.ts";

/** How fast what was learnt fades. */
export type LearnSettings = Pick<RouterSettings, "halfLifeDays">;

/**
 * Learns from work that has just ended as completed or failed; call it in the transaction that ends it, once for each end. Writes
 * the outcome of each decision, what the agents have shown, their rates, and closes the handovers of the work. Of work in `takenBack`,
 * which had failed in the same run and was completed after all, the failure and a person's word on it count no more. Three statements
 * for any number of tasks, sent together: the first takes the agents' turns, so that the others read what others have learnt.
 */
export async function learn(
  db: Db,
  settings: LearnSettings,
  taskIds: readonly string[],
  takenBack: readonly TakenBack[] = [],
): Promise<void> {
  if (taskIds.length === 0) return;
  const workers = db`
    select team_id, to_agent from tasks where task_id = any(${taskIds as string[]}::uuid[])
    union all
    select team_id, agent from unnest(
      ${takenBack.map(({ taskId }) => taskId)}::uuid[], ${takenBack.map(({ agent }) => agent)}::text[]
    ) as told (task_id, agent) join tasks using (task_id)
  `;
  await Promise.all([holdRates(db, workers), addOutcomes(db, settings, taskIds, takenBack), forgetMost(db, workers)]);
}

async function addOutcomes(
  db: Db,
  settings: LearnSettings,
  taskIds: readonly string[],
  takenBack: readonly TakenBack[],
): Promise<void> {
  await db`
    with ended as materialized (
      ${ended(db, taskIds)}
    ), earlier as materialized (
      ${earlier(db, takenBack)}
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
          where (team_id, agent_name) in (select team_id, agent_name from added)
            and (team_id, agent_name, work_type) not in (select team_id, agent_name, work_type from added)
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
      select team_id, agent_name, work_type,
        row_number() over (partition by team_id, agent_name order by observed_at desc, work_type) as place
      from agent_performance where (team_id, agent_name) in (${agents})
    ) as ranked
    where place > ${MOST_WORK_TYPES} and known.team_id = ranked.team_id and known.agent_name = ranked.agent_name
      and known.work_type = ranked.work_type
  `;
}

/**
 * The work among these that has ended by its agent's doing. Its quality, while no person has spoken: 1 where it was done at the first
 * attempt, 0.2 less for each further one that counted, at least 0.5; 0 where it has failed. execution_ms null: it never ran.
 */
const ended = (db: Db, taskIds: readonly string[]) => db`
  select task_id, team_id, run_id, routing_id, routed_at, to_agent, work_type, created_at, attempt, dispatched_at, started_at, completed_at, error_message,
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

/**
 * The failures that these pieces of work, which are among `ended`, counted as until now, by the outcome that their decisions still have.
 * Work that is completed after all keeps the time of its end, by which it is known that the outcome is of this run. What the agent has
 * shown in this type of work may have been forgotten meanwhile: then nothing is left to take back.
 */
const earlier = (db: Db, takenBack: readonly TakenBack[]) => db`
  select ended.task_id, ended.team_id, agent as to_agent, ended.work_type, metrics.completed_at, execution_time_ms as execution_ms,
    actual_quality_score as quality, case when feedback_score is null then 1 else ${FEEDBACK_WEIGHT}::int end as quality_weight
  from unnest(
    ${takenBack.map(({ taskId }) => taskId)}::uuid[], ${takenBack.map(({ agent }) => agent)}::text[]
  ) as told (task_id, agent)
    join ended using (task_id)
    join router_performance_metrics as metrics
      on metrics.routing_id = ended.routing_id and metrics.routed_at = ended.routed_at
        and metrics.completed_at = ended.completed_at and not metrics.succeeded
    join agent_performance as known
      on known.team_id = ended.team_id and known.agent_name = agent and known.work_type = ended.work_type
`;

const keepOutcomes = (db: Db) => db`
  update router_performance_metrics as metrics set
    succeeded = ended.succeeded, actual_quality_score = quality, prediction_error = quality - confidence_score,
    execution_time_ms = execution_ms, completed_at = ended.completed_at,
    feedback_score = null, feedback_by = null, feedback_comment = null, feedback_at = null
  from ended
  where metrics.routing_id = ended.routing_id and metrics.routed_at = ended.routed_at
`;

/** What was still open ends with the work; all of it came to what the work came to, and so did what had ended with a failure taken back. */
const endHandovers = (db: Db) => db`
  update agent_transformation_events as handover set
    ${openHandoverEnds(db)},
    quality_score = quality,
    error_message = ended.error_message
  from ended
  where handover.task_id = ended.task_id and handover.occurred_at >= ended.created_at and (
    handover.quality_score is null
    or handover.session_id = ended.run_id and ended.task_id in (select task_id from earlier)
  )
`;

/**
 * Adds outcomes, all of one agent and work type at once, and takes the earlier ones off. With t = the latest of the sums' and the
 * outcomes' instants, every sum becomes
 *   sum * 0.5 ^ ((t - observed_at) / half-life) + value * 0.5 ^ ((t - completed_at) / half-life)
 * and observed_at becomes t. So an outcome told late counts what it would count, had it been told in time: the order does not matter.
 * Never below 0, where rounding would lead.
 */
function addPerformance(db: Db, settings: LearnSettings): Fragment {
  const old = fade(db, settings, db`excluded.observed_at - known.observed_at`);
  const fresh = fade(db, settings, db`known.observed_at - excluded.observed_at`);
  return db`
    insert into agent_performance as known (
      team_id, agent_name, work_type, weight, success_sum, quality_weight, quality_sum, time_weight, time_ms_sum, observed_at
    )
    select team_id, to_agent, work_type, sum(sign * factor), sum(success * factor), sum(quality_weight * factor),
      sum(quality_weight * quality * factor), coalesce(sum(sign * factor) filter (where execution_ms is not null), 0),
      coalesce(sum(sign * execution_ms * factor), 0), max(completed_at)
    from (
      select *, ${fade(db, settings, db`max(completed_at) over (partition by team_id, to_agent, work_type) - completed_at`)} as factor
      from (
        select team_id, to_agent, work_type, completed_at, 1 as sign, succeeded::int as success, 1 as quality_weight, quality, execution_ms
        from ended
        union all
        select team_id, to_agent, work_type, completed_at, -1, 0, -quality_weight, quality, execution_ms from earlier
      ) as signed
    ) as outcomes
    group by team_id, to_agent, work_type
    order by team_id, to_agent, work_type
    on conflict on constraint agent_performance_pkey do update set
      (weight, success_sum, quality_weight, quality_sum, time_weight, time_ms_sum, observed_at) = (
        select greatest(0, known.weight * old + excluded.weight * fresh),
          greatest(0, known.success_sum * old + excluded.success_sum * fresh),
          greatest(0, known.quality_weight * old + excluded.quality_weight * fresh),
          greatest(0, known.quality_sum * old + excluded.quality_sum * fresh),
          greatest(0, known.time_weight * old + excluded.time_weight * fresh),
          greatest(0, known.time_ms_sum * old + excluded.time_ms_sum * fresh),
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
    select from agent_definitions where active and (team_id, agent_name) in (${agents})
    order by team_id, agent_name for no key update
  `;
}

/** Sets the rates of an agent to what it has shown over all work types. */
export async function updateRates(db: Db, settings: LearnSettings, team: string, agent: string): Promise<void> {
  const shown = ratesOf(
    db,
    settings,
    db`select * from agent_performance where team_id = ${team} and agent_name = ${agent}`,
  );
  await db`with shown as (${shown}) ${setRates(db)}`;
}

const ratesOf = (db: Db, settings: LearnSettings, performance: Fragment) => db`
  select team_id, agent_name, sum(success_sum * factor) / nullif(sum(weight * factor), 0) as success,
    sum(quality_sum * factor) / nullif(sum(quality_weight * factor), 0) as quality,
    sum(time_ms_sum * factor) / nullif(sum(time_weight * factor), 0) as ms
  from (${performance}) as performance
    cross join lateral (select ${fade(db, settings, db`now() - observed_at`)} as factor offset 0) as faded
  group by team_id, agent_name
`;

/** From rows named `shown`. */
const setRates = (db: Db) => db`
  update agent_definitions as definition set
    -- Not known, as where all was taken back, is null: least() and greatest() would make 0 of it.
    success_rate = case when success is not null then least(1, greatest(0, success)) end,
    quality_score = case when quality is not null then least(1, greatest(0, quality)) end,
    avg_execution_time_ms = case when ms is not null then greatest(0, round(ms)) end
  from shown
  where definition.team_id = shown.team_id and definition.agent_name = shown.agent_name and active
`;
