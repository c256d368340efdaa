import { type Message, ORCHESTRATOR } from "../../protocol/messages.ts";
import type { ChunkRow, EndRow, Held, Plan, Present, Renewal, RoleRow, StepRow } from "../core/locked-task.ts";
import { endOf } from "./outcome.ts";
import { chunkRow, mergeSteps, stepRow, stepsOf } from "./output-in-result.ts";

/**
 * Decides what messages from agents change, given the locked tasks they are about. Pure. Messages may come twice, late and in any
 * order: only the present attempt of the right agent counts, the first end of an attempt counts, a step never leaves its end.
 */
export function settle(held: ReadonlyMap<string, Held>, messages: readonly Message[]): Plan {
  const steps = new Map<string, StepRow>();
  const chunks = new Map<string, ChunkRow>();
  const roles = new Map<string, RoleRow>();
  const renewals = new Map<string, Renewal>();
  const ends = new Map<string, EndRow>();
  const stale: Message[] = [];
  for (const message of messages) {
    const task = taskOf(held, message);
    if (task === undefined) {
      stale.push(message);
      continue;
    }
    for (const step of stepsOf(message)) {
      const key = `${task.taskId} ${step.step_number}`;
      const row = stepRow(task, step, message.timestamp);
      const before = steps.get(key);
      steps.set(key, before === undefined ? row : mergeSteps(before, row));
      if (step.output !== undefined)
        chunks.set(`${key} ${step.output.chunk_number}`, chunkRow(task, step, step.output));
    }
    if (task.status !== "executing") continue;
    const end = endOf(task, message);
    if (end !== undefined) {
      if (!ends.has(task.taskId)) ends.set(task.taskId, end);
    } else if (message.type === "work_status" && message.payload.status === "executing") {
      const progress = message.payload.progress ?? null;
      const known = renewals.get(task.taskId)?.progress ?? null;
      renewals.set(task.taskId, { taskId: task.taskId, progress: largest(known, progress) });
      const { role } = message.payload;
      const { message_id: messageId, from_agent: agent } = message;
      if (role !== undefined) roles.set(messageId, { taskId: task.taskId, agent, role, messageId });
    }
  }
  for (const taskId of ends.keys()) renewals.delete(taskId);
  return {
    steps: sorted(steps),
    chunks: sorted(chunks),
    roles: [...roles.values()],
    renewals: sorted(renewals),
    ends: sorted(ends),
    stale,
  };
}

function sorted<T>(rows: Map<string, T>): T[] {
  return [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

/** The task that a message from an agent is about, if the message belongs to its present attempt. */
function taskOf(held: ReadonlyMap<string, Held>, message: Message): Present | undefined {
  if (message.type === "work_request" || message.payload.task_id === undefined) return undefined;
  const task = held.get(message.payload.task_id);
  if (task === undefined || task.attempt === 0 || task.toAgent !== message.from_agent) return undefined;
  if (message.request_id !== task.runId || message.to_agent !== ORCHESTRATOR) return undefined;
  // An agent that could not read a request may not know its attempt; the run's request_id then says which it was.
  const { attempt = task.attempt } = message.payload;
  const present = attempt === task.attempt;
  return present ? { ...task, toAgent: message.from_agent } : undefined;
}

function largest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}
