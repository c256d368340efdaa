import { type Message, ORCHESTRATOR } from "../../protocol/messages.ts";
import { hear } from "../attempts/hear.ts";
import { type Attempt, type Clock, isOurs, isUnderWay, type Work } from "../attempts/work.ts";
import type { Changes, ChunkRow, RoleRow, StepRow } from "./changes.ts";
import { aiUseOf, wordOf } from "./outcome.ts";
import { chunkRow, mergeSteps, stepRow, stepsIn } from "./output-in-result.ts";

/**
 * Lets messages from agents change the locked work that they are about, by task_id, and answers what they change beside. Pure. Messages
 * may come twice, late and in any order: what is told of steps and output is kept with its attempt, of an attempt the first end counts, a
 * step never leaves its end. Rows are sorted by task (roles by their messages), so that two batches write in one order.
 */
export function settle(held: ReadonlyMap<string, Work>, messages: readonly Message[], clock: Clock): Changes {
  const steps = new Map<string, StepRow>();
  const chunks = new Map<string, ChunkRow>();
  const roles = new Map<string, RoleRow>();
  const changes: Pick<Changes, "handings" | "ended" | "stops" | "stale"> = {
    handings: [],
    ended: [],
    stops: [],
    stale: [],
  };
  for (const message of messages) {
    const work = workOf(held, message);
    const word = work === undefined ? undefined : wordOf(message);
    if (work === undefined || word === undefined) {
      changes.stale.push({ message, why: work === undefined ? "it is about no work" : "it is no word of an agent" });
      continue;
    }
    const before = stateOf(work);
    const { attempt, ended, why, stop } = hear(work, word, clock);
    changes.stops.push(...stop.map((one) => ({ work, stop: one })));
    if (why !== undefined) changes.stale.push({ message, why });
    if (attempt === undefined) continue;
    keepTold(steps, chunks, { work, attempt, message });
    // Left open to be carried out; one that comes too late has ended its attempt and changes nothing.
    if (ended === "handed_over" && attempt.how === null) noteHandover(changes, { work, attempt, message });
    else if (ended !== undefined) {
      work.externalAi = added(work.externalAi, aiUseOf(message));
      if (before !== stateOf(work)) changes.ended.push({ work, attempt });
    }
    const role = message.type === "work_status" ? message.payload.role : undefined;
    if (role !== undefined && isUnderWay(work) && isOurs(work, attempt)) {
      roles.set(message.message_id, { taskId: work.taskId, agent: attempt.agent, role, message });
    }
  }
  return { steps: sorted(steps), chunks: sorted(chunks), roles: [...roles.values()], ...changes };
}

type Told = { work: Work; attempt: Attempt; message: Message };

function keepTold(steps: Map<string, StepRow>, chunks: Map<string, ChunkRow>, { work, attempt, message }: Told): void {
  const of = { teamId: work.teamId, taskId: work.taskId, attempt: attempt.attempt, agent: attempt.agent };
  for (const step of stepsIn(message)) {
    const key = `${work.taskId} ${attempt.attempt} ${step.step_number}`;
    const row = stepRow(of, step, message.timestamp);
    const before = steps.get(key);
    steps.set(key, before === undefined ? row : mergeSteps(before, row));
    if (step.output !== undefined) chunks.set(`${key} ${step.output.chunk_number}`, chunkRow(of, step, step.output));
  }
}

function noteHandover({ handings }: Pick<Changes, "handings">, { work, attempt, message }: Told): void {
  const handover = message.type === "work_status" ? message.payload.handover : undefined;
  if (handover === undefined || handings.some((one) => one.work === work)) return;
  handings.push({ work, attempt, handover, messageId: message.message_id });
}

/** What of work is told to others when it changes. */
function stateOf({ status, attempt, completedAt, readyAt }: Work): string {
  return JSON.stringify([status, attempt, completedAt, readyAt]);
}

/** Two lists, each as JSON. */
function added(known: string | null, told: string | null): string | null {
  if (known === null || told === null) return known ?? told;
  return JSON.stringify([...(JSON.parse(known) as unknown[]), ...(JSON.parse(told) as unknown[])]);
}

function sorted<T>(rows: Map<string, T>): T[] {
  return [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

/** The work that a message to the orchestrator is about. */
function workOf(held: ReadonlyMap<string, Work>, message: Message): Work | undefined {
  const { task_id } = message.payload;
  return task_id === undefined || message.to_agent !== ORCHESTRATOR ? undefined : held.get(task_id);
}
