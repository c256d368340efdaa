import type { Actor } from "../../access/actor.ts";
import { CallerError } from "../../errors.ts";
import { type Page, pageOf } from "../../input/page.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { LoggedAttempt, LoggedHandover, LoggedStep, TakenDecision } from "../core/answers.ts";
import { findStatus } from "../core/task-row.ts";
import { unknownWork } from "../core/unknown-work.ts";
import { toWire } from "../core/wire.ts";
import { type AttemptRow, findAttempts, findDecisions, findSteps, type Span, type StepPlace } from "./queries.ts";

/** Which page is asked for: `cursor` is the next_cursor of the page before. */
export type PageAsked = { limit: number; cursor?: string | undefined };

/** Reads the handovers of work as the router keeps them: rows of the columns of LoggedHandover. */
export type FindHandovers = (
  db: Db,
  actor: Actor,
  taskId: string,
  span: Span<string>,
) => Promise<Record<string, unknown>[]>;

// Each throws a CallerError, 404, where there is no such work.

/** A page of the steps of all attempts of work, by attempt and number. */
export async function stepsOf(db: Db, actor: Actor, taskId: string, asked: PageAsked): Promise<Page<LoggedStep>> {
  const { limit, cursor } = asked;
  const after = cursor === undefined ? undefined : stepPlaceOf(cursor);
  const steps = (await findSteps(db, actor, taskId, { limit: limit + 1, after })).map(toStep);
  return await pageOfWork(db, actor, taskId, steps, limit, ({ attempt, step_number }) => `${attempt}.${step_number}`);
}

/** A page of the attempts of work, first to last, each with its metrics. */
export async function attemptsOf(
  db: Db,
  actor: Actor,
  taskId: string,
  { limit, cursor }: PageAsked,
): Promise<Page<LoggedAttempt>> {
  const after = cursor === undefined ? undefined : Number(cursor);
  const attempts = (await findAttempts(db, actor, taskId, { limit: limit + 1, after })).map(toAttempt);
  return await pageOfWork(db, actor, taskId, attempts, limit, ({ attempt }) => String(attempt));
}

/** A page of what people decided about work, first to last. */
export async function decisionsOf(
  db: Db,
  actor: Actor,
  taskId: string,
  { limit, cursor }: PageAsked,
): Promise<Page<TakenDecision>> {
  const decisions = (await findDecisions(db, actor, taskId, { limit: limit + 1, after: cursor })).map(toDecision);
  return await pageOfWork(db, actor, taskId, decisions, limit, ({ decision_id }) => decision_id);
}

/** A page of the handovers of work, first to last, each with its whole context. */
export async function handoversOf(
  db: Db,
  actor: Actor,
  find: FindHandovers,
  taskId: string,
  { limit, cursor }: PageAsked,
): Promise<Page<LoggedHandover>> {
  const handovers = (await find(db, actor, taskId, { limit: limit + 1, after: cursor })).map(toHandover);
  return await pageOfWork(db, actor, taskId, handovers, limit, ({ event_id }) => event_id);
}

/** A page that is empty may be that of no work at all. */
async function pageOfWork<T>(
  db: Db,
  actor: Actor,
  taskId: string,
  items: T[],
  limit: number,
  cursorOf: (item: T) => string,
): Promise<Page<T>> {
  const page = pageOf(items, limit, cursorOf);
  if (page.items.length === 0 && (await findStatus(db, actor, taskId)) === undefined) throw unknownWork(taskId);
  return page;
}

function stepPlaceOf(cursor: string): StepPlace {
  const [attempt = 0, step = 0] = cursor.split(".").map(Number);
  if (attempt <= 2_147_483_647 && step <= 2_147_483_647) return { attempt, step };
  const message = "is no next_cursor of a page of steps";
  throw new CallerError(400, "invalid_input", `cursor ${message}.`, { fields: [{ field: "cursor", message }] });
}

/** A row of an attempt as callers see it. */
export function toAttempt({ isLate: _, ...attempt }: AttemptRow): LoggedAttempt {
  return toWire(attempt) as LoggedAttempt;
}

/** A row of a step as callers see it. */
export function toStep(step: Record<string, unknown>): LoggedStep {
  return toWire(step) as LoggedStep;
}

/** A row of a decision as callers see it. */
export function toDecision(decision: Record<string, unknown>): TakenDecision {
  return toWire(decision) as TakenDecision;
}

/** A row of a handover as callers see it. */
export function toHandover(handover: Record<string, unknown>): LoggedHandover {
  return toWire(handover) as LoggedHandover;
}
