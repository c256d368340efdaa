import { printable } from "../protocol/json.ts";
import { type Message, type Parsed, parseMessage, serialiseMessage } from "../protocol/messages.ts";
import { uuidv7 } from "../runtime/ids.ts";
import type { Delivery } from "./transport.ts";

/** Why a message is not taken, and what is known of it. */
export type Refusal = Pick<Extract<Parsed, { ok: false }>, "error_code" | "remains"> & {
  ok: false;
  reason: string;
  isError: boolean;
};

/** Reads a message that is for the agent `name`; another agent's is refused like one that does not follow the protocol. */
export function readMessage(name: string, body: string): { ok: true; message: Message } | Refusal {
  const parsed = parseMessage(body);
  if (!parsed.ok) {
    const { error_code, remains, faults } = parsed;
    const reason = faults.map(({ field, message }) => (field ? `${field} ${message}` : message)).join("; ");
    // Where a sender was read the body is JSON.
    const isError = remains.from_agent !== undefined && (JSON.parse(body) as { type?: unknown }).type === "error";
    return { ok: false, error_code, remains, reason, isError };
  }
  const { message } = parsed;
  if (message.to_agent === name) return parsed;
  const { from_agent, to_agent, trace_id, request_id, message_id } = message;
  const remains = { from_agent, to_agent, trace_id, request_id, message_id };
  const reason = `to_agent is ${to_agent}; this is ${name}`;
  return { ok: false, error_code: 5003, remains, reason, isError: message.type === "error" };
}

/** The `error` message that tells the sender; undefined where there is no sender, or nobody should answer. */
export function answerTo(name: string, delivery: Delivery, refusal: Refusal): string | undefined {
  const { from_agent, trace_id, request_id, message_id, task_id } = refusal.remains;
  // An error is not answered with an error: two sides that misunderstand each other would never end.
  if (from_agent === undefined || refusal.isError) return undefined;
  return serialiseMessage({
    protocol_version: "1.0",
    message_id: uuidv7(),
    from_agent: name,
    to_agent: from_agent,
    timestamp: new Date().toISOString(),
    trace_id: trace_id ?? uuidv7(),
    request_id: request_id ?? uuidv7(),
    type: "error",
    payload: {
      error_code: refusal.error_code,
      error_message: printable(refusal.reason, 10_000),
      failed_message_id: message_id ?? delivery.id,
      ...(task_id === undefined ? {} : { task_id }),
    },
  });
}
