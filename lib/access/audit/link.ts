import { createHash } from "node:crypto";
import { canonicalJson } from "../../input/json.ts";

/**
 * The hash of a line, in hexadecimal: SHA-256 of the bytes of the hash before it, of which the first line of a chain has none, and the
 * canonical JSON (RFC 8785) of the line without its own hash.
 */
export function linkOf(before: string, { hash: _, ...line }: Readonly<Record<string, unknown>>): string {
  return createHash("sha256").update(Buffer.from(before, "hex")).update(canonicalJson(line)).digest("hex");
}
