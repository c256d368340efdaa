import type { Actor } from "../../access/actor.ts";
import { authorOf } from "../../access/author.ts";
import { ofTeam } from "../../access/of-team.ts";
import { audit } from "../../access/record.ts";
import { CallerError } from "../../errors.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Transactions } from "../../runtime/postgres/team.ts";
import type { Feedback } from "../../work/core/answers.ts";
import type { GiveFeedback } from "../../work/core/schema.ts";
import { unknownWork } from "../../work/core/unknown-work.ts";
import { FEEDBACK_WEIGHT, type Sums, withFeedback } from "../score/fading.ts";
import { type PerformanceRow, sumsOf } from "../snapshot/performance.ts";
import { holdRates, type LearnSettings, updateRates } from "./learn.ts";

type Ended = { taskId: string; teamId: string; status: string; toAgent: string; workType: string; completedAt: Date };
type Known = { confidence: number; quality: number | null; completedAt: Date | null; spoken: boolean };

/**
 * Puts a person's word in the place of the measured quality, or of an earlier word, and changes what is known of the agent by the
 * difference. Throws 404 for unknown work, 409 where it has not been completed or failed, or no decision of the router is kept.
 */
export async function giveFeedback(
  pool: Transactions,
  actor: Actor,
  settings: LearnSettings,
  taskId: string,
  said: GiveFeedback,
): Promise<Feedback> {
  const { score, comment = null } = said;
  const { by, onBehalfOf } = authorOf(actor, "by", { by: said.by, onBehalfOf: said.on_behalf_of });
  return await pool.begin(async (db) => {
    const task = await lockEnded(db, actor, taskId);
    const known = await findDecision(db, taskId);
    const earlier =
      known.completedAt === null
        ? { quality: 0, weight: 0 }
        : { quality: known.quality ?? 0, weight: known.spoken ? FEEDBACK_WEIGHT : 1 };
    const endedAt = (known.completedAt ?? task.completedAt).getTime();
    await holdRates(db, db`select ${task.teamId}::uuid, ${task.toAgent}::text`);
    await changePerformance(db, task, (sums) =>
      withFeedback(sums, earlier, score, endedAt, settings.halfLifeDays * 86_400_000),
    );
    await updateRates(db, settings, task.teamId, task.toAgent);
    await db`
      update router_performance_metrics set actual_quality_score = ${score}, prediction_error = ${score}::numeric - confidence_score,
        feedback_score = ${score}, feedback_by = ${by}, feedback_comment = ${comment}, feedback_at = now()
      where (routing_id, routed_at) = (select routing_id, routed_at from tasks where task_id = ${taskId})
    `;
    await db`update agent_transformation_events set quality_score = ${score} where task_id = ${taskId}`;
    const { teamId: team } = task;
    await audit(db, actor, { action: "work.feedback", object: ["work", taskId], team, onBehalfOf, details: { score } });
    const { confidence } = known;
    const prediction_error = Math.round((score - confidence) * 10_000) / 10_000;
    return {
      task_id: taskId,
      agent: task.toAgent,
      confidence,
      actual_quality_score: score,
      prediction_error,
      score,
      by,
      comment,
    };
  });
}

async function lockEnded(db: Db, actor: Actor, taskId: string): Promise<Ended> {
  const [task] = await db<Ended[]>`
    select task_id, team_id, status, to_agent, work_type, completed_at from tasks
    where task_id = ${taskId} and ${ofTeam(db, actor)} for no key update
  `;
  if (task === undefined) throw unknownWork(taskId);
  if (task.status !== "completed" && task.status !== "failed") {
    const message = `The work is ${task.status}; feedback is possible only once it is completed or failed.`;
    throw new CallerError(409, `not_possible_from_${task.status}`, message);
  }
  return task;
}

async function findDecision(db: Db, taskId: string): Promise<Known> {
  const [known] = await db<Known[]>`
    select confidence_score::float8 as confidence, actual_quality_score::float8 as quality, completed_at,
      feedback_score is not null as spoken
    from router_performance_metrics
    where (routing_id, routed_at) = (select routing_id, routed_at from tasks where task_id = ${taskId})
    for no key update
  `;
  if (known !== undefined) return known;
  const message = "No decision of the router is kept for this work: it is older than the router, or than what is kept.";
  throw new CallerError(409, "not_routed", message);
}

async function changePerformance(db: Db, task: Ended, change: (before: Sums) => Sums): Promise<void> {
  const { teamId, toAgent, workType } = task;
  const zero = { weight: 0, success_sum: 0, quality_weight: 0, quality_sum: 0, time_weight: 0, time_ms_sum: 0 };
  await db`
    insert into agent_performance (team_id, agent_name, work_type, observed_at)
    values (${teamId}, ${toAgent}, ${workType}, ${task.completedAt})
    on conflict on constraint agent_performance_pkey do nothing
  `;
  const [row] = await db<PerformanceRow[]>`
    select * from agent_performance where team_id = ${teamId} and agent_name = ${toAgent} and work_type = ${workType} for no key update
  `;
  const after = change(row === undefined ? { ...zero, observed_at: task.completedAt.getTime() } : sumsOf(row));
  await db`
    update agent_performance set weight = ${after.weight}, success_sum = ${after.success_sum},
      quality_weight = ${after.quality_weight}, quality_sum = ${after.quality_sum}, time_weight = ${after.time_weight},
      time_ms_sum = ${after.time_ms_sum}, observed_at = ${new Date(after.observed_at)}
    where team_id = ${teamId} and agent_name = ${toAgent} and work_type = ${workType}
  `;
}
