import type { Message, OutputChunk, Step } from "../../protocol/messages.ts";
import type { ChunkRow, StepRow } from "./changes.ts";
import { characters } from "./characters.ts";

/** Where the output goes that a result carries itself: behind all that was streamed for the first step. */
const RESULT_STEP = 1;
const RESULT_CHUNK = 2_000_000_000;

const SUMMARY_CHARACTERS = 500;

/** Which attempt of which work a step belongs to, and whose. */
type Of = { teamId: string; taskId: string; attempt: number; agent: string };

/** The steps that a message tells, in its order; output that a result carries itself is one more, the last. None for other messages. */
export function stepsIn(message: Message): Step[] {
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

/** A step as it is kept. `told`, ISO 8601, stands for its start where its agent gives none. */
export function stepRow(of: Of, step: Step, told: string): StepRow {
  const { output, ...rest } = step;
  // Of the first chunk only: of whichever comes first, a later one would give its middle as the summary.
  const opens = output?.encoding === "utf8" && output.chunk_number === 0;
  const summary = step.summary ?? (opens ? output.text.slice(0, SUMMARY_CHARACTERS * 2) : undefined);
  return {
    ...rest,
    ...(summary === undefined ? {} : { summary: characters(summary, SUMMARY_CHARACTERS) }),
    ...of,
    startedAt: step.started_at ?? told,
  };
}

/** Two tellings of one step: an end wins over running, the first end over a second, what is known over what is not. */
export function mergeSteps(a: StepRow, b: StepRow): StepRow {
  const [strong, weak] = a.status === "running" && b.status !== "running" ? [b, a] : [a, b];
  return {
    ...weak,
    ...strong,
    startedAt: Date.parse(a.startedAt) <= Date.parse(b.startedAt) ? a.startedAt : b.startedAt,
  };
}

/** A piece of output as it is kept. */
export function chunkRow({ taskId, attempt }: Omit<Of, "teamId">, step: Step, output: OutputChunk): ChunkRow {
  const bytes = output.encoding === "utf8" ? Buffer.byteLength(output.text) : Buffer.from(output.text, "base64").length;
  return { ...output, taskId, attempt, stepNumber: step.step_number, bytes };
}
