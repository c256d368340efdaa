import { type Message, ORCHESTRATOR } from "../../protocol/messages.ts";
import type { Changes, ChunkRow, EndRow, Renewal, RoleRow, StepRow } from "./changes.ts";
import type { LockedTask, SpokenOf } from "./locked-task.ts";
import { endOf } from "./outcome.ts";
import { chunkRow, mergeSteps, stepRow, stepsIn } from "./output-in-result.ts";

/**
 * Decides what messages from agents change, given the locked tasks that they are about, by task_id. Pure. Messages may come
 * twice, late and in any order: only the latest attempt, told by the agent that has it, counts; of an attempt the first end counts;
 * a step never leaves its end. Rows are sorted by task (roles by their messages), so that two batches write in one order.
 */
export function settle(held: ReadonlyMap<string, LockedTask>, messages: readonly Message[]): Changes {
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
    for (const step of stepsIn(message)) {
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

/** The task that a message from an agent is about, where it belongs to the latest attempt. */
function taskOf(held: ReadonlyMap<string, LockedTask>, message: Message): SpokenOf | undefined {
  if (message.type === "work_request" || message.payload.task_id === undefined) return undefined;
  const task = held.get(message.payload.task_id);
  if (task === undefined || task.attempt === 0 || task.toAgent !== message.from_agent) return undefined;
  if (message.request_id !== task.runId || message.to_agent !== ORCHESTRATOR) return undefined;
  // An agent that could not read a request may not know its attempt; the run's request_id then says which it was.
  const { attempt = task.attempt } = message.payload;
  return attempt === task.attempt ? { ...task, toAgent: message.from_agent } : undefined;
}

function largest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}
