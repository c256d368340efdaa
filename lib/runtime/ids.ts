// Own, though `uuid` has v5 and v7: ids that are stored were made by uuidOf, whose form has to stay, and v7 is ten lines beside it.
import { createHash, randomBytes, randomUUID } from "node:crypto";

let lastMillis = 0;
let counter = 0;

/**
 * A UUIDv7 (RFC 9562, method 1: a 12-bit counter keeps the order within one millisecond and process). Time-ordered keys
 * write a quarter of the WAL of random ones; made here because Postgres 15 has no uuidv7(). It tells its time of making:
 * never use it as a secret.
 */
export function uuidv7(now: number = Date.now()): string {
  if (now > lastMillis) {
    lastMillis = now;
    counter = randomBytes(2).readUInt16BE() & 0x7ff;
  } else if (++counter > 0xfff) {
    lastMillis++;
    counter = 0;
  }
  return version7(lastMillis, counter);
}

/** A UUIDv7 of a time that is not now: for rows written afterwards, as samples are. Those of one millisecond have no order. */
export function uuidv7At(time: Date): string {
  return version7(time.getTime(), randomBytes(2).readUInt16BE() & 0xfff);
}

function version7(millis: number, twelveBits: number): string {
  const time = millis.toString(16).padStart(12, "0");
  // Its last 17 characters are the variant and 62 random bits. Node keeps a store of them: ten times as fast as randomBytes.
  const random = randomUUID().slice(19);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${twelveBits.toString(16).padStart(3, "0")}-${random}`;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The UUID that a text stands for: itself in lower case where it is one, else always the same one (UUIDv8 of its SHA-256). */
export function uuidOf(text: string): string {
  if (UUID.test(text)) return text.toLowerCase();
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return format(bytes);
}

function format(bytes: Buffer): string {
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
