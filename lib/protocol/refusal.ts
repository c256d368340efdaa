import { printable } from "../input/json.ts";
import { envelope } from "./envelope.ts";
import type { INVALID_MESSAGE, NOT_AUTHENTIC } from "./error-codes.ts";
import { type Parsed, serialiseMessage } from "./messages.ts";
import type { Sign } from "./signature.ts";

/** Why a message is not taken, and what is known of it. */
export type Refusal = Pick<Extract<Parsed, { ok: false }>, "remains"> & {
  error_code: typeof INVALID_MESSAGE | typeof NOT_AUTHENTIC;
  reason: string;
  /** Whether the message is itself of type error. */
  isError: boolean;
};

/** The refusal of a text that does not parse. */
export function refusalOf({ error_code, remains, faults }: Extract<Parsed, { ok: false }>, text: string): Refusal {
  const reason = faults.map(({ field, message }) => (field ? `${field} ${message}` : message)).join("; ");
  // Where a sender was read the text is JSON.
  const isError = remains.from_agent !== undefined && (JSON.parse(text) as { type?: unknown }).type === "error";
  return { error_code, remains, reason, isError };
}

/** Who answers, and what an answer needs from outside. `deliveryId` names the message where its own id could not be read. */
type Answering = { from: string; deliveryId: string; newId: () => string; now: Date; sign?: Sign | undefined };

/** The `error` message that tells the sender; undefined where there is no sender, or nobody should answer. */
export function answerTo(
  { error_code, remains, reason, isError }: Refusal,
  { from, deliveryId, newId, now, sign }: Answering,
): string | undefined {
  const { from_agent, trace_id, request_id, message_id, task_id, lease_token } = remains;
  // An error is not answered with an error: two sides that misunderstand each other would never end.
  if (from_agent === undefined || isError) return undefined;
  const payload = {
    error_code,
    error_message: printable(reason, 10_000),
    failed_message_id: message_id ?? deliveryId,
    ...(task_id === undefined ? {} : { task_id }),
    ...(lease_token === undefined ? {} : { lease_token }),
  };
  const identity = {
    messageId: newId(),
    at: now,
    traceId: trace_id ?? newId(),
    requestId: request_id ?? newId(),
  };
  return serialiseMessage(envelope("error", from, from_agent, payload, identity), sign);
}
