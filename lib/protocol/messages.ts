import * as z from "zod";
import { errorCodes, INVALID_MESSAGE } from "./error-codes.ts";
import { findUnstorable, parseJson, stringifyForQueue } from "./json.ts";

/** The version that this library speaks. Another one is refused by name. */
export const PROTOCOL_VERSION = "1.0";

/** SQS carries at most 1 MiB a message, and at most 1 MiB a batch. */
export const MAX_MESSAGE_BYTES = 1_048_576;

/** A caller's parameters may be 64 levels deep; the envelope adds two around them. */
const MAX_MESSAGE_DEPTH = 66;

/** The name that the control plane itself goes by. */
export const ORCHESTRATOR = "orchestrator";

/** `orchestrator`, or an agent: built in are `infra`, `desktop`, `code` and `research`. */
export const AgentName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, "must be a lower-case name of letters, digits, - and _, at most 63 characters");

/** Any UUID, read in either case and kept in lower case, as Postgres prints it. */
export const Uuid = z.guid("must be a UUID, such as 0198c5f2-7c1e-7000-8000-0123456789ab").toLowerCase();

/** ISO 8601 with a zone. */
export const Timestamp = z.iso.datetime({ offset: true, error: "must be an ISO 8601 time with a zone" });

/** A free JSON object. */
export const JsonObject = z.record(z.string(), z.json());

/** One piece of a step's output. Pieces are joined in the order of chunk_number; a repeat changes nothing. */
export const OutputChunk = z.strictObject({
  chunk_number: z.int().min(0).max(2_000_000_000),
  encoding: z
    .enum(["utf8", "base64"])
    .default("utf8")
    .describe("base64 where the bytes are not UTF-8 text or hold a NUL"),
  text: z.string(),
});
export type OutputChunk = z.infer<typeof OutputChunk>;

/** What an agent did, told when the step starts, when it ends, or with each piece of its output. */
export const Step = z.strictObject({
  step_number: z.int().min(1).max(1_000_000).describe("the order of the steps; arrival order means nothing"),
  action: z.string().min(1).max(200),
  status: z.enum(["running", "completed", "failed"]),
  summary: z.string().max(10_000).optional().describe("the first 500 characters are kept beside the step"),
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
  .describe("the attempt this belongs to; a message of an earlier attempt is fenced");

/** Orchestrator to agent: do this. */
export const WorkRequest = z.strictObject({
  task_id: Uuid,
  attempt,
  work_type: z.string().min(1).max(100),
  request_text: z.string(),
  parameters: JsonObject,
  hints: JsonObject,
  lease_seconds: z.int().min(1).describe("say work_status at least this often, or the attempt is over"),
  timeout_seconds: z.int().min(1).describe("the longest this attempt may run"),
});
export type WorkRequest = z.infer<typeof WorkRequest>;

/**
 * Agent to orchestrator: `executing` renews the lease and may tell a step, `approved` hands the work back undone.
 * Orchestrator: `approved` wakes the dispatcher, `cancelled` tells the agent to stop.
 */
export const WorkStatus = z.strictObject({
  task_id: Uuid,
  attempt,
  status: z.enum(["approved", "executing", "cancelled"]),
  step: Step.optional(),
  progress: z.number().min(0).max(1).optional(),
  message: z.string().max(10_000).optional(),
});
export type WorkStatus = z.infer<typeof WorkStatus>;

/** Agent to orchestrator: the attempt has ended. */
export const WorkResult = z.strictObject({
  task_id: Uuid,
  attempt,
  status: z.enum(["completed", "failed"]),
  exit_code: z.int().nullish(),
  error_message: z.string().max(100_000).nullish(),
  retryable: z.boolean().optional().describe("a failed attempt that another may mend; default false"),
  output: z.string().optional().describe("short output of an agent that tells no steps; kept as step 1"),
  steps: z.array(Step).max(1000).optional().describe("steps told with the result instead of as they happened"),
  metrics: JsonObject.nullish().describe("becomes actual_resources"),
  external_ai_used: z.union([ExternalAiUse, z.array(ExternalAiUse).max(1000)]).nullish(),
});
export type WorkResult = z.infer<typeof WorkResult>;

/** Either way: a message could not be taken, or an attempt failed before it began. */
export const ErrorReport = z.strictObject({
  error_code: z.int().refine((code) => code in errorCodes, "must be a code of the table of error codes"),
  error_message: z.string().max(100_000),
  task_id: Uuid.optional(),
  attempt: attempt.optional(),
  failed_message_id: z.string().max(200).optional().describe("message_id of the message that this answers"),
});
export type ErrorReport = z.infer<typeof ErrorReport>;

const envelope = {
  protocol_version: z.literal(PROTOCOL_VERSION, {
    error: ({ input }) => `is ${JSON.stringify(input)}; this side speaks "${PROTOCOL_VERSION}"`,
  }),
  message_id: Uuid,
  from_agent: AgentName,
  to_agent: AgentName,
  timestamp: Timestamp,
  trace_id: Uuid.describe("joins every message, log line and row of one piece of work"),
  request_id: Uuid.describe(
    "idempotency token: a receiver that has finished this request answers with the kept result",
  ),
  x_custom_fields: JsonObject.optional().describe("carried through untouched"),
};

export const WorkRequestMessage = z.strictObject({
  ...envelope,
  type: z.literal("work_request"),
  payload: WorkRequest,
});
export const WorkStatusMessage = z.strictObject({ ...envelope, type: z.literal("work_status"), payload: WorkStatus });
export const WorkResultMessage = z.strictObject({ ...envelope, type: z.literal("work_result"), payload: WorkResult });
export const ErrorMessage = z.strictObject({ ...envelope, type: z.literal("error"), payload: ErrorReport });
export type WorkRequestMessage = z.infer<typeof WorkRequestMessage>;
export type WorkStatusMessage = z.infer<typeof WorkStatusMessage>;
export type WorkResultMessage = z.infer<typeof WorkResultMessage>;
export type ErrorMessage = z.infer<typeof ErrorMessage>;

/** Every message: a JSON envelope, validated before it is put on a queue and before it is unpacked. */
export const Message = z.discriminatedUnion("type", [
  WorkRequestMessage,
  WorkStatusMessage,
  WorkResultMessage,
  ErrorMessage,
]);
export type Message = z.infer<typeof Message>;

export type Fault = { field: string; message: string };

/** What can be read of a message that does not parse: enough to answer its sender and to find its work. */
export type Remains = Partial<
  Record<"from_agent" | "to_agent" | "trace_id" | "request_id" | "message_id" | "task_id", string>
>;

export type Parsed =
  | { ok: true; message: Message }
  | { ok: false; error_code: typeof INVALID_MESSAGE; faults: [Fault, ...Fault[]]; remains: Remains };

/** Reads one message. Never throws: what does not follow the protocol is answered with its faults and what remains of it. */
export function parseMessage(text: string): Parsed {
  const json = parseJson(text, MAX_MESSAGE_DEPTH);
  if (!json.ok) {
    const fault = { field: json.fault.field, message: json.fault.message };
    const raw = json.fault.code === "unstorable" ? (JSON.parse(text) as unknown) : undefined;
    return { ok: false, error_code: INVALID_MESSAGE, faults: [fault], remains: remainsOf(raw) };
  }
  const result = Message.safeParse(json.value);
  if (result.success) return { ok: true, message: result.data };
  const faults = result.error.issues.map((issue) => ({ field: issue.path.join("."), message: issue.message }));
  return {
    ok: false,
    error_code: INVALID_MESSAGE,
    faults: faults as [Fault, ...Fault[]],
    remains: remainsOf(json.value),
  };
}

/**
 * Writes one message as the body of a queue message. Throws a ZodError or RangeError where the message does not follow
 * the protocol or is over 1 MiB: nothing invalid is put on a queue.
 */
export function serialiseMessage(message: Message): string {
  const valid = Message.parse(message);
  const fault = findUnstorable(valid);
  if (fault !== undefined) throw new RangeError(`message ${message.message_id}: ${fault.field} ${fault.message}`);
  const text = stringifyForQueue(valid);
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > MAX_MESSAGE_BYTES) {
    throw new RangeError(`message ${message.message_id} has ${bytes} bytes; a queue takes ${MAX_MESSAGE_BYTES}`);
  }
  return text;
}

function remainsOf(value: unknown): Remains {
  const remains: Remains = {};
  const body = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const payload = (typeof body["payload"] === "object" && body["payload"] !== null ? body["payload"] : {}) as Record<
    string,
    unknown
  >;
  for (const name of ["from_agent", "to_agent"] as const) {
    const parsed = AgentName.safeParse(body[name]);
    if (parsed.success) remains[name] = parsed.data;
  }
  for (const name of ["trace_id", "request_id", "message_id"] as const) {
    const parsed = Uuid.safeParse(body[name]);
    if (parsed.success) remains[name] = parsed.data;
  }
  const task = Uuid.safeParse(payload["task_id"]);
  if (task.success) remains.task_id = task.data;
  return remains;
}
