import { createHash, randomInt, timingSafeEqual } from "node:crypto";

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const KEY = /^(wb_[0-9A-Za-z]{12})_[0-9A-Za-z]{43}$/;

/** A new public part of a key: `wb_` and 12 letters and digits. */
export function newPrefix(): string {
  return `wb_${text(12)}`;
}

/** A new key with this public part. Its 43 random letters and digits are 256 bits. */
export function newKey(prefix: string): string {
  return `${prefix}_${text(43)}`;
}

/** The public part of a key; undefined where the text has not the form of one. */
export function prefixOf(key: string): string | undefined {
  return KEY.exec(key)?.[1];
}

/** What is kept of a key: the SHA-256 of the whole. So many random bits need no slower hash. */
export function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

/** Whether two hashes are the same, in a time that does not tell where they differ. */
export function isSameHash(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

function text(length: number): string {
  return Array.from({ length }, () => LETTERS.charAt(randomInt(LETTERS.length))).join("");
}
