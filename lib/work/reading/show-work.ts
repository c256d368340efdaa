import type { Actor } from "../../access/actor.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { LoggedAttempt, LoggedHandover, LoggedStep, TakenDecision, TaskWithSteps } from "../core/answers.ts";
import { findStatus, findTask, type TaskRow } from "../core/task-row.ts";
import { unknownWork } from "../core/unknown-work.ts";
import { toWire } from "../core/wire.ts";
import { type AttemptRow, findAttempts, findDecisions, findSteps } from "./queries.ts";
import { toTask } from "./task.ts";
import { whyRefused } from "./undeliverable.ts";
import { waitForFinal } from "./wait.ts";

/** What other rooms know of work. */
export type Lookups = {
  /** How it went from agent to agent, in order: rows of the columns of LoggedHandover. */
  findHandovers: (db: Db, taskId: string) => Promise<Record<string, unknown>[]>;
  /** The queue URLs of those of these agents that have a queue, by agent, as the registry has them. */
  findQueueUrls: (db: Db, agents: readonly string[]) => Promise<Record<string, string>>;
  /** The agents whose queue the environment names. */
  queues: readonly string[];
};

/**
 * One piece of work with its steps, decisions and handovers, each in order, and what holds it up; first waits, at most `waitMs`
 * milliseconds, until it is final (0 or less: not at all). Throws a CallerError, 404, where there is no such work.
 */
export async function showWork(
  db: Db,
  _actor: Actor,
  { taskId, waitMs, ...lookups }: Lookups & { taskId: string; waitMs: number },
): Promise<TaskWithSteps> {
  if (waitMs > 0) await waitForFinal(db, taskId, waitMs);
  const row = await findTask(db, taskId);
  if (row === undefined) throw unknownWork(taskId);
  return await withHistory(db, row, lookups);
}

/** The steps of all attempts of work, by attempt and number; none before the first. Throws a CallerError, 404, where there is no such work. */
export async function stepsOf(db: Db, _actor: Actor, taskId: string): Promise<LoggedStep[]> {
  const steps = await loggedSteps(db, taskId);
  if (steps.length === 0 && (await findStatus(db, taskId)) === undefined) throw unknownWork(taskId);
  return steps;
}

async function withHistory(db: Db, row: TaskRow, lookups: Lookups): Promise<TaskWithSteps> {
  const { taskId, status, toAgent } = row;
  const [attempts, steps, decisions, handovers, noQueue, refusal] = await Promise.all([
    findAttempts(db, taskId),
    loggedSteps(db, taskId),
    findDecisions(db, taskId),
    lookups.findHandovers(db, taskId),
    status === "approved" && toAgent !== null ? whyHeldUp(db, toAgent, lookups) : null,
    status === "executing" ? whyRefused(db, taskId) : null,
  ]);
  const refused = refusal === null ? null : `${toAgent} was not reached: ${refusal}`;
  return {
    ...toTask(row),
    attempts: attempts.map(({ isLate: _, ...attempt }) => toWire(attempt) as LoggedAttempt),
    steps,
    decisions: decisions.map((decision) => toWire(decision) as TakenDecision),
    handovers: handovers.map((handover) => toWire(handover) as LoggedHandover),
    held_up: noQueue ?? refused ?? (status === "executing" ? whyNotBegun(attempts.at(-1)) : null),
  };
}

async function loggedSteps(db: Db, taskId: string): Promise<LoggedStep[]> {
  return (await findSteps(db, taskId)).map((step) => toWire(step) as LoggedStep);
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

/** Work whose agent has no queue waits until it has one. */
async function whyHeldUp(db: Db, agent: string, { queues, findQueueUrls }: Lookups): Promise<string | null> {
  if (queues.includes(agent) || (await findQueueUrls(db, [agent]))[agent] !== undefined) return null;
  return `${agent} has no queue yet. GET /agents/${agent} says how to make one; or hand the work over to another agent.`;
}
