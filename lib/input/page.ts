import { bytesInAnswer } from "./answer-bytes.ts";

/** A part of a list, and where the next one begins: null where there is none. */
export type Page<T> = { items: T[]; next_cursor: string | null };

/** What a page may take of one answer, which has 6 MB. */
const PAGE_BYTES = 5_000_000;

/** The first of these that fit into `bytes` of an answer. */
export function thatFit<T>(items: readonly T[], bytes: number): T[] {
  let left = bytes;
  const beyond = items.findIndex((item) => {
    left -= bytesInAnswer(item) + 1;
    return left < 0;
  });
  return items.slice(0, beyond === -1 ? items.length : beyond);
}

/**
 * A page of at most `limit` of these, which are one more where there is another page. A page ends sooner where the answer would be
 * larger than one can be, and has one item at least.
 */
export function pageOf<T>(items: readonly T[], limit: number, cursorOf: (item: T) => string): Page<T> {
  const some = items.slice(0, limit);
  const fitting = thatFit(some, PAGE_BYTES);
  const page = fitting.length === 0 ? some.slice(0, 1) : fitting;
  const last = page.at(-1);
  return { items: page, next_cursor: last === undefined || page.length === items.length ? null : cursorOf(last) };
}
