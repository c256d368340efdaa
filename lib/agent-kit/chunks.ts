import { stringifyForQueue } from "../input/json.ts";
import type { OutputChunk } from "../protocol/messages.ts";

/** A chunk holds at most this many bytes of output: in any encoding it fits a queue message with room to spare. */
export const CHUNK_BYTES = 200_000;

/** A control character takes six bytes in JSON: a chunk of nothing else would be over the queue's limit as text. */
const MAX_ESCAPE = 4;

type Piece = Pick<OutputChunk, "encoding" | "text">;

// ignoreBOM: without it a leading U+FEFF is swallowed, and the output is three bytes short.
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes as text where text carries them unchanged, as base64 where they are not UTF-8, hold a NUL or escape badly. */
export function encodeChunk(bytes: Uint8Array): Piece {
  const text = bytes.includes(0) ? undefined : decode(bytes);
  if (text !== undefined && Buffer.byteLength(stringifyForQueue(text)) <= 2 + bytes.length * MAX_ESCAPE) {
    return { encoding: "utf8", text };
  }
  return { encoding: "base64", text: Buffer.from(bytes).toString("base64") };
}

/** How many of the bytes to send now: all but a character that is not whole yet, and at most `max`. */
export function cutLength(bytes: Uint8Array, max: number): number {
  const end = Math.min(bytes.length, max);
  for (let back = 1; back <= 3 && back <= end; back++) {
    const byte = bytes[end - back] ?? 0;
    if (byte < 0x80) return end;
    if (byte >= 0xc0) return back < sequenceLength(byte) ? end - back : end;
  }
  return end;
}

function sequenceLength(lead: number): number {
  return lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
