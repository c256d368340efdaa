import type { Options } from "amqplib";
import * as z from "zod";
import { Timestamp, Uuid } from "../../lib/protocol/fields.ts";
import { MAX_MESSAGE_BYTES } from "../../lib/protocol/messages.ts";

/** What an envelope says of itself, as far as it is there and well formed; the receiver judges the rest. */
const Envelope = z.object({
  message_id: Uuid.optional().catch(undefined),
  trace_id: Uuid.optional().catch(undefined),
  type: z.string().max(100).optional().catch(undefined),
  timestamp: Timestamp.optional().catch(undefined),
});

/** The AMQP properties of a body, taken from its envelope; none where it has none. Throws where it is not JSON. */
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

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** All that SQS takes: https://www.w3.org/TR/REC-xml/#charsets */
const CARRIED = /^[\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]+$/u;

/** The text by which SQS carries these bytes, or why it cannot. `most` is in bytes. */
export function textOf(
  body: Buffer,
  most = MAX_MESSAGE_BYTES,
): { text: string; fault?: never } | { text?: never; fault: string } {
  if (body.length > most) return { fault: `has ${body.length} bytes; SQS takes ${most}` };
  if (body.length === 0) return { fault: "is empty, which SQS does not take" };
  try {
    const text = utf8.decode(body);
    return CARRIED.test(text) ? { text } : { fault: "holds a character that SQS does not take" };
  } catch {
    return { fault: "is not UTF-8" };
  }
}
