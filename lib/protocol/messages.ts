import * as z from "zod";
import { describeIssue, type Fault, faultsOf, must } from "../input/faults.ts";
import { findUnstorable, jsonDepth, parseJson, printable, stringifyForQueue, tooDeep } from "../input/json.ts";
import { INVALID_MESSAGE } from "./error-codes.ts";
import { AgentName, JsonObject, LeaseToken, Timestamp, Uuid } from "./fields.ts";
import { ErrorReport, WorkRequest, WorkResult, WorkStatus } from "./payloads.ts";
import type { Sign } from "./signature.ts";

// This file is the library's door: an agent imports messages, their parts and the two functions from here.
export type { Fault } from "../input/faults.ts";
export { AgentName, JsonObject, Timestamp, Uuid } from "./fields.ts";
export {
  ErrorReport,
  ExternalAiUse,
  HandedOn,
  Handover,
  OutputChunk,
  Role,
  Step,
  WorkRequest,
  WorkResult,
  WorkStatus,
} from "./payloads.ts";

/** The version that this library speaks. Another one is refused by name. */
export const PROTOCOL_VERSION = "1.0";

/** SQS carries at most 1 MiB a message, and at most 1 MiB a batch. */
export const MAX_MESSAGE_BYTES = 1_048_576;

/** A caller's parameters may be 64 levels deep; the envelope adds two around them. */
export const MAX_MESSAGE_DEPTH = 66;

/** The name that the control plane itself goes by. */
export const ORCHESTRATOR = "orchestrator";

const envelope = {
  protocol_version: z.literal(PROTOCOL_VERSION),
  message_id: Uuid,
  from_agent: AgentName,
  to_agent: AgentName,
  timestamp: Timestamp,
  trace_id: Uuid.describe("joins every message, log line and row of one piece of work"),
  request_id: Uuid.describe(
    "idempotency token: a receiver that has finished this request answers with the kept result",
  ),
  x_custom_fields: JsonObject.optional().describe("carried through untouched"),
  key_id: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,100}$/, must("be 1 to 100 letters, digits, _ . and -"))
    .optional()
    .describe("with which key it is signed: what an agent's key begins with, or one of the control plane's"),
  signature: z
    .string()
    .regex(/^[A-Za-z0-9_-]{86}$/, must("be an Ed25519 signature in base64url without padding"))
    .optional()
    .describe("Ed25519 over the RFC 8785 form of all the rest"),
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

/** What can be read of a message that does not parse: enough to answer its sender and to find its work. */
export type Remains = Partial<
  Record<"from_agent" | "to_agent" | "trace_id" | "request_id" | "message_id" | "task_id" | "lease_token", string>
>;

/** A message as it was read, for its signature is over that. */
export type Raw = Readonly<Record<string, unknown>> & { readonly signature?: string };

/** A message, or why it is none: at least one fault, and what can be read of it all the same. */
export type Parsed =
  | { ok: true; message: Message; raw: Raw }
  | { ok: false; error_code: typeof INVALID_MESSAGE; faults: [Fault, ...Fault[]]; remains: Remains };

/**
 * Reads one message. Never throws: what does not follow the protocol is answered with its faults, at most 20 of them,
 * and what remains of it. No fault quotes the payload; each is fit for a log line.
 */
export function parseMessage(text: string): Parsed {
  const bytes = bytesOf(text);
  if (bytes > MAX_MESSAGE_BYTES) {
    return invalid([{ field: "", message: `has ${bytes} bytes; at most ${MAX_MESSAGE_BYTES} are taken` }], undefined);
  }
  const json = parseJson(text, MAX_MESSAGE_DEPTH);
  if (!json.ok) {
    const { code, field, message } = json.fault;
    return invalid([{ field, message }], code === "invalid_json" ? undefined : parseAnyway(text));
  }
  const version = objectOf(json.value)["protocol_version"];
  if (version !== undefined && version !== PROTOCOL_VERSION) {
    const message = `is ${printable(JSON.stringify(version), 40)}; this side speaks "${PROTOCOL_VERSION}"`;
    return invalid([{ field: "protocol_version", message }], json.value);
  }
  const result = Message.safeParse(json.value, { error: describeIssue });
  if (!result.success) return invalid(faultsOf(result.error), json.value);
  return { ok: true, message: result.data, raw: json.value as Raw };
}

/**
 * Writes one message as the body of a queue message, signed where somebody signs it. Throws a RangeError that says what is wrong where
 * the message does not follow the protocol, is over 1 MiB or nested too deep: nothing invalid is put on a queue.
 */
export function serialiseMessage(message: Message, sign?: Sign): string {
  const result = Message.safeParse(message, { error: describeIssue });
  if (!result.success) throw refusal(message, faultsOf(result.error));
  const text = stringifyForQueue(sign === undefined ? result.data : sign(result.data));
  const depth = jsonDepth(text);
  if (depth > MAX_MESSAGE_DEPTH) {
    throw refusal(message, [{ field: "", message: tooDeep(depth, MAX_MESSAGE_DEPTH) }]);
  }
  const fault = findUnstorable(message);
  if (fault !== undefined) throw refusal(message, [fault]);
  const bytes = bytesOf(text);
  if (bytes > MAX_MESSAGE_BYTES) {
    throw refusal(message, [{ field: "", message: `has ${bytes} bytes; a queue takes ${MAX_MESSAGE_BYTES}` }]);
  }
  return text;
}

function refusal(message: Message, faults: Fault[]): RangeError {
  const reasons = faults.map((fault) => `${fault.field} ${fault.message}`.trim()).join("; ");
  return new RangeError(`message ${message.message_id} of type ${message.type} is not sent: ${reasons}`);
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function parseAnyway(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function invalid(faults: [Fault, ...Fault[]], value: unknown): Parsed {
  return { ok: false, error_code: INVALID_MESSAGE, faults, remains: remainsOf(value) };
}

function remainsOf(value: unknown): Remains {
  const body = objectOf(value);
  const remains: Remains = {};
  const keep = (name: keyof Remains, schema: z.ZodType<string>, from: Record<string, unknown>) => {
    const parsed = schema.safeParse(from[name]);
    if (parsed.success) remains[name] = parsed.data;
  };
  for (const name of ["from_agent", "to_agent"] as const) keep(name, AgentName, body);
  for (const name of ["trace_id", "request_id", "message_id"] as const) keep(name, Uuid, body);
  keep("task_id", Uuid, objectOf(body["payload"]));
  keep("lease_token", LeaseToken, objectOf(body["payload"]));
  return remains;
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
