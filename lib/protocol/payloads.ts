import * as z from "zod";
import { must } from "../input/faults.ts";
import { type ErrorCode, errorCodes } from "./error-codes.ts";
import { AgentName, JsonObject, LeaseToken, Timestamp, text, Uuid } from "./fields.ts";

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** One piece of a step's output. Pieces are joined in the order of chunk_number; a repeat changes nothing. */
export const OutputChunk = z
  .strictObject({
    chunk_number: z.int().min(0).max(2_000_000_000),
    encoding: z
      .enum(["utf8", "base64"])
      .default("utf8")
      .describe("base64 where the bytes are not UTF-8 text or hold a NUL"),
    text: z.string(),
  })
  .refine((chunk) => chunk.encoding === "utf8" || BASE64.test(chunk.text), {
    path: ["text"],
    ...must("be base64 with padding, since encoding says so"),
  })
  .meta({
    anyOf: [
      { properties: { encoding: { const: "utf8" } } },
      { properties: { text: { type: "string", pattern: BASE64.source } } },
    ],
  });
export type OutputChunk = z.infer<typeof OutputChunk>;

/** What an agent did, told when the step starts, when it ends, or with each piece of its output. */
export const Step = z.strictObject({
  step_number: z.int().min(1).max(1_000_000).describe("the order of the steps; arrival order means nothing"),
  action: text(200, 1),
  status: z.enum(["running", "completed", "failed"]),
  summary: text(10_000).optional().describe("the first 500 characters are kept beside the step"),
  started_at: Timestamp.optional(),
  duration_ms: z.int().min(0).optional(),
  output: OutputChunk.optional(),
});
export type Step = z.infer<typeof Step>;

/** Use of one external model. Tokens are a count, cost is in USD, null where it is unknown. */
export const ExternalAiUse = z.looseObject({
  model: z.string().min(1),
  tokens: z.int().min(0).nullish(),
  cost: z.number().min(0).nullish(),
});
export type ExternalAiUse = z.infer<typeof ExternalAiUse>;

const attempt = z
  .int()
  .min(0)
  .max(1_000_000)
  .describe("the attempt this belongs to, counted from 1; a message of another attempt changes nothing");

const seconds = z.int().min(1).max(86_400);

/** What tells two processes apart that do the same attempt: the queue may lend one request twice. */
const start = {
  start_id: Uuid.optional().describe(
    "made by the process that takes a request in hand, new each time; what two of them say is never mixed",
  ),
  process: text(200, 1).optional().describe("which process speaks, in words for people: a host, a pid"),
};

/** What proves that the attempt was given to who speaks. */
const lease_token = LeaseToken.optional().describe(
  "that of the work_request; what an agent says without it changes nothing",
);

/** What an agent says when it passes its work on. */
export const Handover = z.strictObject({
  to_agent: AgentName.optional().describe("who is to go on; without it the router chooses, never the same agent again"),
  capabilities: z.array(text(100, 1)).max(50).optional().describe("what the next agent must be capable of"),
  reason: text(10_000, 1),
  context: JsonObject.optional().describe("what the next agent is to know; it gets this with its work_request"),
});
export type Handover = z.infer<typeof Handover>;

/** What the next agent gets of it. */
export const HandedOn = z.strictObject({ from_agent: AgentName, reason: text(10_000), context: JsonObject });
export type HandedOn = z.infer<typeof HandedOn>;

/** A part that an agent takes while it goes on with the work, such as reviewer. */
export const Role = z.strictObject({
  name: text(200, 1),
  reason: text(10_000).optional(),
  context: JsonObject.optional(),
});
export type Role = z.infer<typeof Role>;

/** Orchestrator to agent: do this. */
export const WorkRequest = z.strictObject({
  task_id: Uuid,
  attempt,
  work_type: text(100, 1),
  request_text: z.string(),
  parameters: JsonObject,
  hints: JsonObject,
  lease_seconds: seconds.describe("say work_status at least this often, or the attempt is over"),
  timeout_seconds: seconds.describe("the longest this attempt may run"),
  lease_token: LeaseToken.optional().describe(
    "said again in every message about this attempt; a secret between both sides",
  ),
  handover: HandedOn.optional().describe("where another agent passed the work on"),
});
export type WorkRequest = z.infer<typeof WorkRequest>;

/**
 * Agent to orchestrator: `held` says that a process has the request and the work waits for its turn there, `executing` that it runs,
 * and may tell a step or a role; both renew the lease. `approved` hands the work back undone, or with `handover` on to another agent;
 * `cancelled` confirms that it has stopped. Orchestrator to agent: `cancelled` tells the process of `start_id` to stop, and without
 * one whoever has the attempt; `executing` asks it what has become of the work. To itself: `approved` wakes the dispatcher.
 */
export const WorkStatus = z
  .strictObject({
    task_id: Uuid,
    attempt,
    lease_token,
    ...start,
    status: z.enum(["approved", "held", "executing", "cancelled"]),
    step: Step.optional(),
    // Rounded, for Postgres refuses to store 1e-50 as a real.
    progress: z.number().min(0).max(1).overwrite(toMillionths).optional().describe("0 to 1, kept to six digits"),
    message: text(10_000).optional(),
    role: Role.optional().describe("a part that the agent takes from here on"),
    handover: Handover.optional().describe("with approved: the work goes to another agent"),
  })
  .refine(({ status, handover }) => handover === undefined || status === "approved", {
    path: ["handover"],
    ...must("come with the status approved"),
  })
  .meta({ anyOf: [{ properties: { status: { const: "approved" } } }, { not: { required: ["handover"] } }] });
export type WorkStatus = z.infer<typeof WorkStatus>;

function toMillionths(progress: number): number {
  return Math.round(progress * 1e6) / 1e6;
}

/** Agent to orchestrator: the attempt has ended. */
export const WorkResult = z.strictObject({
  task_id: Uuid,
  attempt,
  lease_token,
  ...start,
  status: z.enum(["completed", "failed"]),
  exit_code: z.int32().nullish(),
  error_message: text(100_000).nullish(),
  retryable: z.boolean().optional().describe("a failed attempt that another may mend; default false"),
  output: z.string().optional().describe("short output of an agent that tells no steps; kept as step 1"),
  steps: z.array(Step).max(1000).optional().describe("steps told with the result instead of as they happened"),
  metrics: JsonObject.nullish().describe("becomes actual_resources"),
  external_ai_used: z
    .union([ExternalAiUse, z.array(ExternalAiUse).max(1000)], must("be {model, tokens?, cost?}, or a list of such"))
    .nullish(),
});
export type WorkResult = z.infer<typeof WorkResult>;

/** Either way: a message could not be taken, or an attempt failed before it began. */
export const ErrorReport = z.strictObject({
  error_code: z.literal(Object.keys(errorCodes).map(Number) as ErrorCode[]),
  error_message: text(100_000),
  task_id: Uuid.optional(),
  attempt: attempt.optional(),
  lease_token,
  start_id: start.start_id,
  failed_message_id: text(200).optional().describe("message_id of the message that this answers"),
});
export type ErrorReport = z.infer<typeof ErrorReport>;
