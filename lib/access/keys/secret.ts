import { createHash, randomInt, timingSafeEqual } from "node:crypto";
import { publicKeyOf, signingKeyOf } from "../../protocol/signature.ts";

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** A new public part of a key: `wb_` and 12 letters and digits. */
export function newPrefix(): string {
  return `wb_${text(12)}`;
}

/** A new key with this public part. Its 43 random letters and digits are 256 bits. */
export function newKey(prefix: string): string {
  return `${prefix}_${text(43)}`;
}

/** What is kept of a key: the SHA-256 of the whole. So many random bits need no slower hash. */
export function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

/** What is kept of an agent's key beside its hash: the public half of the key with which the agent signs its messages. */
export function publicKeyFor(key: string): Buffer {
  return publicKeyOf(signingKeyOf(key));
}

/** Whether two hashes are the same, in a time that does not tell where they differ. */
export function isSameHash(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

function text(length: number): string {
  return Array.from({ length }, () => LETTERS.charAt(randomInt(LETTERS.length))).join("");
}
