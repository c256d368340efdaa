import type { Options } from "amqplib";
import * as z from "zod";
import { Timestamp, Uuid } from "../../protocol/fields.ts";

/** What an envelope says of itself, as far as it is there and well formed; the receiver judges the rest. */
const Envelope = z.object({
  message_id: Uuid.optional().catch(undefined),
  trace_id: Uuid.optional().catch(undefined),
  type: z.string().max(100).optional().catch(undefined),
  timestamp: Timestamp.optional().catch(undefined),
});

/**
 * The AMQP properties of a body, taken from its envelope; only its content type where it has none. They are for a broker's tools:
 * the body alone is what counts. Throws where it is not JSON.
 */
export function propertiesOf(body: string): Options.Publish {
  const { success, data } = Envelope.safeParse(JSON.parse(body));
  if (!success) return { contentType: "application/json", contentEncoding: "utf-8" };
  const { message_id, trace_id, type, timestamp } = data;
  return {
    contentType: "application/json",
    contentEncoding: "utf-8",
    ...(message_id === undefined ? {} : { messageId: message_id }),
    ...(trace_id === undefined ? {} : { correlationId: trace_id, headers: { trace_id } }),
    ...(type === undefined ? {} : { type }),
    // AMQP counts in seconds; the envelope has the fraction.
    ...(timestamp === undefined ? {} : { timestamp: Math.floor(Date.parse(timestamp) / 1000) }),
  };
}
