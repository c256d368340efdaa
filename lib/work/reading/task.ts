import type { Db } from "../../runtime/postgres/db.ts";
import { findDecisions, findSteps, type TaskRow } from "../core/queries.ts";
import type { LoggedStep, TakenDecision, Task, TaskEvent, TaskWithSteps } from "../core/schema.ts";

/** A row as callers see it: snake_case names, times as ISO 8601. Only column names change, never keys inside JSON. */
export function toTask(row: TaskRow): Task {
  return toWire(row) as Task;
}

/** What only the registry knows of work: how it went from agent to agent, and why its agent cannot get it. */
type Lookups = {
  findEvents: (db: Db, taskId: string) => Promise<Record<string, unknown>[]>;
  whyHeldUp: (db: Db, agent: string) => Promise<string | null>;
};

/** Work with its steps, its decisions and what the registry knows of it. */
export async function withHistory(db: Db, row: TaskRow, { findEvents, whyHeldUp }: Lookups): Promise<TaskWithSteps> {
  const { taskId, status, toAgent } = row;
  const [steps, decisions, events, held_up] = await Promise.all([
    stepsOf(db, taskId),
    findDecisions(db, taskId),
    findEvents(db, taskId),
    status === "approved" && toAgent !== null ? whyHeldUp(db, toAgent) : null,
  ]);
  return {
    ...toTask(row),
    steps,
    decisions: decisions.map((decision) => toWire(decision) as TakenDecision),
    handovers: events.map((event) => toWire(event) as TaskEvent),
    held_up,
  };
}

/** The steps of work as callers see them. */
export async function stepsOf(db: Db, taskId: string): Promise<LoggedStep[]> {
  return (await findSteps(db, taskId)).map((step) => toWire(step) as LoggedStep);
}

/** Renames a row's columns for the wire and turns its times into text. */
export function toWire(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value instanceof Date ? value.toISOString() : value,
    ]),
  );
}
