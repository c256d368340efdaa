import {
  type ErrorReport,
  type ExternalAiUse,
  type Message,
  ORCHESTRATOR,
  type OutputChunk,
  type Step,
  type WorkResult,
} from "../protocol/messages.ts";
import { type Ending, ended, type Status } from "./lifecycle.ts";

/** What is known of a task while its row is locked. */
export type Held = {
  taskId: string;
  traceId: string;
  status: Status;
  attempt: number;
  attemptsUsed: number;
  maxAttempts: number;
  toAgent: string;
  runId: string;
};

export type StepRow = Omit<Step, "output"> & { taskId: string; attempt: number; agent: string; startedAt: string };
export type ChunkRow = OutputChunk & { taskId: string; attempt: number; stepNumber: number; bytes: number };
export type Renewal = { taskId: string; progress: number | null };
export type EndRow = {
  taskId: string;
  traceId: string;
  attempt: number;
  status: Status;
  attemptsUsed: number;
  backoff: boolean;
  exitCode: number | null;
  errorMessage: string | null;
  metrics: string | null;
  externalAi: string | null;
};

/** Everything that a batch of messages changes, and the messages that change nothing because they came too late. */
export type Plan = { steps: StepRow[]; chunks: ChunkRow[]; renewals: Renewal[]; ends: EndRow[]; stale: Message[] };

/** Where the output goes that a result carries itself: behind all that was streamed for the first step. */
const RESULT_STEP = 1;
const RESULT_CHUNK = 2_000_000_000;

const SUMMARY_CHARACTERS = 500;
const ERROR_CHARACTERS = 10_000;

/**
 * Decides what messages from agents change, given the locked tasks they are about. Pure. Messages may come twice, late and in any
 * order: only the present attempt of the right agent counts, the first end of an attempt counts, a step never leaves its end.
 */
export function settle(held: ReadonlyMap<string, Held>, messages: readonly Message[]): Plan {
  const steps = new Map<string, StepRow>();
  const chunks = new Map<string, ChunkRow>();
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
    }
  }
  for (const taskId of ends.keys()) renewals.delete(taskId);
  return { steps: sorted(steps), chunks: sorted(chunks), renewals: sorted(renewals), ends: sorted(ends), stale };
}

function sorted<T>(rows: Map<string, T>): T[] {
  return [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

/** The task that a message from an agent is about, if the message belongs to its present attempt. */
function taskOf(held: ReadonlyMap<string, Held>, message: Message): Held | undefined {
  if (message.type === "work_request" || message.payload.task_id === undefined) return undefined;
  const task = held.get(message.payload.task_id);
  if (task === undefined || task.attempt === 0 || task.toAgent !== message.from_agent) return undefined;
  if (message.request_id !== task.runId || message.to_agent !== ORCHESTRATOR) return undefined;
  // An agent that could not read a request may not know its attempt; the run's request_id then says which it was.
  const { attempt = task.attempt } = message.payload;
  const present = attempt === task.attempt;
  return present ? task : undefined;
}

function stepsOf(message: Message): Step[] {
  if (message.type === "work_status") return message.payload.step === undefined ? [] : [message.payload.step];
  if (message.type !== "work_result") return [];
  const { steps = [], output, status, error_message } = message.payload;
  if (output === undefined) return steps;
  const first = steps.find((step) => step.step_number === RESULT_STEP);
  const said: Step = {
    step_number: RESULT_STEP,
    action: first?.action ?? "result",
    status: first?.status ?? status,
    summary: first?.summary ?? (output.slice(0, SUMMARY_CHARACTERS * 2) || error_message || ""),
    output: { chunk_number: RESULT_CHUNK, encoding: "utf8", text: output },
  };
  return [...steps, said];
}

function stepRow(task: Held, step: Step, told: string): StepRow {
  const { output, ...rest } = step;
  // Of the first chunk only: of whichever comes first, a later one would give its middle as the summary.
  const opens = output?.encoding === "utf8" && output.chunk_number === 0;
  const summary = step.summary ?? (opens ? output.text.slice(0, SUMMARY_CHARACTERS * 2) : undefined);
  return {
    ...rest,
    ...(summary === undefined ? {} : { summary: characters(summary, SUMMARY_CHARACTERS) }),
    taskId: task.taskId,
    attempt: task.attempt,
    agent: task.toAgent,
    startedAt: step.started_at ?? told,
  };
}

/** The first characters of a text; a character outside the basic plane is one, and never cut in half. */
function characters(text: string, count: number): string {
  return Array.from(text.slice(0, count * 2))
    .slice(0, count)
    .join("")
    .toWellFormed();
}

/** Two tellings of one step: an end wins over running, the first end over a second, what is known over what is not. */
function mergeSteps(a: StepRow, b: StepRow): StepRow {
  const [strong, weak] = a.status === "running" && b.status !== "running" ? [b, a] : [a, b];
  return {
    ...weak,
    ...strong,
    startedAt: Date.parse(a.startedAt) <= Date.parse(b.startedAt) ? a.startedAt : b.startedAt,
  };
}

function chunkRow(task: Held, step: Step, output: OutputChunk): ChunkRow {
  const bytes = output.encoding === "utf8" ? Buffer.byteLength(output.text) : Buffer.from(output.text, "base64").length;
  return { ...output, taskId: task.taskId, attempt: task.attempt, stepNumber: step.step_number, bytes };
}

function endOf(task: Held, message: Message): EndRow | undefined {
  switch (message.type) {
    case "work_request":
      return undefined;
    case "work_status":
      return message.payload.status === "approved" ? endRow(task, "handed_back", {}) : undefined;
    case "work_result":
      return resultEnd(task, message.payload);
    case "error":
      return errorEnd(task, message.payload);
  }
}

function endRow(task: Held, ending: Ending, more: Partial<EndRow>): EndRow {
  const attemptsUsed = ending === "handed_back" ? Math.max(0, task.attemptsUsed - 1) : task.attemptsUsed;
  const status = ended(ending, task.maxAttempts - attemptsUsed);
  const { taskId, traceId, attempt } = task;
  const nothing = { exitCode: null, errorMessage: null, metrics: null, externalAi: null };
  const backoff = ending === "failed_retryable";
  const row = { ...nothing, ...more, taskId, traceId, attempt, status, attemptsUsed, backoff };
  return status === "failed" ? row : { ...row, errorMessage: null };
}

function resultEnd(task: Held, result: WorkResult): EndRow {
  const ending = result.status === "completed" ? "completed" : result.retryable ? "failed_retryable" : "failed";
  return endRow(task, ending, {
    exitCode: result.exit_code ?? null,
    errorMessage: characters(result.error_message || reasonOf(result), ERROR_CHARACTERS),
    metrics: result.metrics == null ? null : JSON.stringify(result.metrics),
    externalAi: aiUse(result.external_ai_used),
  });
}

function reasonOf(result: WorkResult): string {
  return result.exit_code == null ? "failed; its agent gave no reason" : `failed with exit code ${result.exit_code}`;
}

function errorEnd(task: Held, report: ErrorReport): EndRow {
  const errorMessage = characters(`${report.error_message} (error ${report.error_code})`, ERROR_CHARACTERS);
  return endRow(task, report.error_code === 5001 ? "failed_retryable" : "failed", { errorMessage });
}

function aiUse(use: ExternalAiUse | ExternalAiUse[] | null | undefined): string | null {
  if (use == null) return null;
  const uses = Array.isArray(use) ? use : [use];
  return uses.length === 0 ? null : JSON.stringify(uses);
}

function largest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}
