import { MAX_MESSAGE_BYTES } from "../../../lib/protocol/messages.ts";

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
