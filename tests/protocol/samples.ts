import { type Message, parseMessage } from "../../lib/protocol/messages.ts";

/** One UUID for everything in a sample. */
export const ID = "0198c5f2-7c1e-7000-8000-0123456789ab";

/** An agent says that it works. */
export const status = {
  protocol_version: "1.0",
  message_id: ID,
  from_agent: "code",
  to_agent: "orchestrator",
  timestamp: "2026-03-01T12:00:00Z",
  trace_id: ID,
  request_id: ID,
  type: "work_status",
  payload: { task_id: ID, attempt: 1, status: "executing" },
} satisfies Message;

/** An agent says that it failed. */
export const result = {
  ...status,
  type: "work_result",
  payload: { task_id: ID, attempt: 1, status: "failed" },
} satisfies Message;

/** The part of a payload that carries one piece of output. */
export const chunk = (output: object) => ({ step: { step_number: 1, action: "run", status: "running", output } });

/** The faults of a message made from a valid one, each as the sentence that its sender reads. */
export function faultsOf(given: unknown): string[] {
  const parsed = parseMessage(typeof given === "string" ? given : JSON.stringify(given));
  return parsed.ok ? [] : parsed.faults.map(({ field, message }) => `${field} ${message}`.trim());
}

/** The message with more, or other, fields in its payload. */
export const withPayload = (message: Message, payload: object) => ({
  ...message,
  payload: { ...message.payload, ...payload },
});
