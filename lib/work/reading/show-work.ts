import type { Actor } from "../../access/actor.ts";
import type { AgentOfTeam } from "../../access/agent-of-team.ts";
import { bytesInAnswer } from "../../input/answer-bytes.ts";
import { thatFit } from "../../input/page.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Transactions } from "../../runtime/postgres/team.ts";
import type { TaskWithSteps } from "../core/answers.ts";
import { whyApart } from "../core/apart.ts";
import { findTask, type TaskRow } from "../core/task-row.ts";
import { unknownWork } from "../core/unknown-work.ts";
import { type FindHandovers, toAttempt, toDecision, toHandover, toStep } from "./history.ts";
import { type AttemptRow, countHistory, findAttempts, findDecisions, findSteps } from "./queries.ts";
import { toTask } from "./task.ts";
import { whyRefused } from "./undeliverable.ts";
import { waitForFinal } from "./wait.ts";

/** What other rooms know of work. */
export type Lookups = {
  /** How it went from agent to agent. */
  findHandovers: FindHandovers;
  countHandovers: (db: Db, actor: Actor, taskId: string) => Promise<number>;
  /** The queue URLs of those of these agents that have a queue, by agentKey, as the registry has them. */
  findQueueUrls: (db: Db, agents: readonly AgentOfTeam[]) => Promise<Map<string, string>>;
  /** The agents of the team whose queue the environment names. */
  queues: readonly string[];
};

/** How many of the latest attempts, steps, decisions and handovers are told with the work. */
const LATEST = 100;

/** What an answer carries, less what is around it. */
const ANSWER_BYTES = 5_900_000;

/**
 * One piece of work with the latest of its attempts, steps, decisions and handovers, each in order, as many of the latest 100 as one
 * answer carries, how many there are in all, and what holds it up; first waits, at most `waitMs`
 * milliseconds, until it is final (0 or less: not at all). Throws a CallerError, 404, where there is no such work.
 */
export async function showWork(
  pool: Transactions,
  actor: Actor,
  { taskId, waitMs, ...lookups }: Lookups & { taskId: string; waitMs: number },
): Promise<TaskWithSteps> {
  if (waitMs > 0) await waitForFinal(pool, actor, taskId, waitMs);
  return await pool.begin(async (db) => {
    const row = await findTask(db, actor, taskId);
    if (row === undefined) throw unknownWork(taskId);
    return await withHistory(db, actor, row, lookups);
  });
}

async function withHistory(db: Db, actor: Actor, row: TaskRow, lookups: Lookups): Promise<TaskWithSteps> {
  const { taskId, status, toAgent } = row;
  const latest = { limit: LATEST, latest: true };
  const [attempts, steps, decisions, handovers, counts, allHandovers, notStarted, refusal] = await Promise.all([
    findAttempts(db, actor, taskId, latest),
    findSteps(db, actor, taskId, latest),
    findDecisions(db, actor, taskId, latest),
    lookups.findHandovers(db, actor, taskId, latest),
    countHistory(db, actor, taskId),
    lookups.countHandovers(db, actor, taskId),
    status === "approved" && toAgent !== null ? whyNotStarted(db, row, toAgent, lookups) : null,
    status === "executing" ? whyRefused(db, taskId) : null,
  ]);
  const refused = refusal === null ? null : `${toAgent} was not reached: ${refusal}`;
  const task = toTask(row);
  const share = (ANSWER_BYTES - bytesInAnswer(task)) / 4;
  return {
    ...task,
    attempts: thatFit(attempts.map(toAttempt), share).toReversed(),
    steps: thatFit(steps.map(toStep), share).toReversed(),
    decisions: thatFit(decisions.map(toDecision), share).toReversed(),
    handovers: thatFit(handovers.map(toHandover), share).toReversed(),
    counts: { ...counts, handovers: allHandovers },
    held_up: notStarted ?? refused ?? (status === "executing" ? whyNotBegun(attempts[0]) : null),
  };
}

/** Work whose request nobody has taken for a while, or that waits for its turn where it is. */
function whyNotBegun(attempt: AttemptRow | undefined): string | null {
  if (attempt === undefined || attempt.how !== null || attempt.startedAt !== null) return null;
  const { agent, process, requests, requestedAt, takenAt, isLate } = attempt;
  if (takenAt !== null) return `process ${process ?? `of ${agent}`} has it, and does other work first.`;
  if (!isLate) return null;
  const asked = `${agent} was asked ${requests === 1 ? "once" : `${requests} times`} since ${requestedAt.toISOString()}`;
  return `${asked}, and no process of it has taken the work. GET /agents/${agent} says whether any was heard of; or hand the work over to another agent.`;
}

/** Work whose agent has no queue waits until it has one, and what the database refuses to start waits for somebody to mend it. */
async function whyNotStarted(
  db: Db,
  { taskId, teamId }: TaskRow,
  agent: string,
  { queues, findQueueUrls }: Lookups,
): Promise<string | null> {
  const hasQueue = queues.includes(agent) || (await findQueueUrls(db, [{ teamId, agent }])).size > 0;
  if (hasQueue) return await whyApart(db, taskId);
  return `${agent} has no queue yet. GET /agents/${agent} says how to make one; or hand the work over to another agent.`;
}
