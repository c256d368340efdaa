import { type Message, parseMessage } from "../protocol/messages.ts";
import { type Refusal, refusalOf } from "../protocol/refusal.ts";

/** Reads a message that is for the agent `name`; another agent's is refused like one that does not follow the protocol. */
export function readMessage(name: string, body: string): { ok: true; message: Message } | ({ ok: false } & Refusal) {
  const parsed = parseMessage(body);
  if (!parsed.ok) return { ok: false, ...refusalOf(parsed, body) };
  const { message } = parsed;
  if (message.to_agent === name) return parsed;
  const { from_agent, to_agent, trace_id, request_id, message_id } = message;
  const remains = { from_agent, to_agent, trace_id, request_id, message_id };
  const reason = `to_agent is ${to_agent}; this is ${name}`;
  return { ok: false, error_code: 5003, remains, reason, isError: message.type === "error" };
}
