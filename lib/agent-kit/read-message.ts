import { INVALID_MESSAGE, NOT_AUTHENTIC } from "../protocol/error-codes.ts";
import { type Message, parseMessage, type Raw } from "../protocol/messages.ts";
import { type Refusal, refusalOf } from "../protocol/refusal.ts";

/** A message that may be looked at, or why it may not. */
type Read = { ok: true; message: Message; raw: Raw } | ({ ok: false } & Refusal);

/** Reads a message that is for the agent `name`; another agent's is refused like one that does not follow the protocol. */
export function readMessage(name: string, body: string): Read {
  const parsed = parseMessage(body);
  if (!parsed.ok) return { ok: false, ...refusalOf(parsed, body) };
  const { message } = parsed;
  if (message.to_agent === name) return parsed;
  const { from_agent, to_agent, trace_id, request_id, message_id } = message;
  const remains = { from_agent, to_agent, trace_id, request_id, message_id };
  const reason = `to_agent is ${to_agent}; this is ${name}`;
  return { ok: false, error_code: INVALID_MESSAGE, remains, reason, isError: message.type === "error" };
}

/** The refusal of a message that is not from whom it says: what it says of work is not repeated, for it may be a lie. */
export function notAuthentic({ from_agent, message_id, type }: Message, reason: string): Refusal {
  return { error_code: NOT_AUTHENTIC, remains: { from_agent, message_id }, reason, isError: type === "error" };
}
