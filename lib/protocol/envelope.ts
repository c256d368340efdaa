import { type Message, PROTOCOL_VERSION } from "./messages.ts";

/** Which message it is, of when, and what it belongs to. */
export type Identity = {
  messageId: string;
  at: Date;
  /** Joins everything of one piece of work. */
  traceId: string;
  /** What the receiver may be asked for again, and answers once. */
  requestId: string;
  /** Carried through untouched; left out where it is undefined. */
  customFields?: Record<string, unknown> | undefined;
};

type MessageOf<T extends Message["type"]> = Extract<Message, { type: T }>;

/** A message of this version of the protocol. It is not checked here: `serialiseMessage` does that when it is written. */
export function envelope<T extends Message["type"]>(
  type: T,
  from: string,
  to: string,
  payload: MessageOf<T>["payload"],
  { messageId, at, traceId, requestId, customFields }: Identity,
): MessageOf<T> {
  return {
    protocol_version: PROTOCOL_VERSION,
    message_id: messageId,
    from_agent: from,
    to_agent: to,
    timestamp: at.toISOString(),
    trace_id: traceId,
    request_id: requestId,
    type,
    payload,
    ...(customFields === undefined ? {} : { x_custom_fields: customFields }),
  } as MessageOf<T>;
}
