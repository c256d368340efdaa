import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A change to one source file of the product, made while it is loaded: `from` must be in it exactly once. */
export type Edit = { file: string; from: string; to: string };

/**
 * The text with the edits made. Throws, naming the file and what is not there once: the product has moved on, and the edit has to
 * follow.
 */
export function edited(text: string, edits: readonly Edit[]): string {
  let now = text;
  for (const { file, from, to } of edits) {
    const found = now.split(from).length - 1;
    if (found !== 1) {
      throw new Error(`${file} has ${JSON.stringify(from)} ${found} times, not once. Mend the edit in chaos/planted/.`);
    }
    now = now.replace(from, () => to);
  }
  return now;
}

/** Throws where an edit does not fit the sources under `root`. */
export function checkEdits(root: string, edits: readonly Edit[]): void {
  for (const [file, own] of Map.groupBy(edits, (edit) => edit.file)) {
    edited(readFileSync(join(root, file), "utf8"), own);
  }
}
