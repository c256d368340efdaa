import { appendFileSync, existsSync, readFileSync } from "node:fs";

/** A file with one JSON value a line. A line is written whole before `note` answers, whatever ends the process next. */
export type Journal<T> = { note: (entry: T) => void };

/** Opens a journal; several processes may write into one file, since each line is one append. */
export function openJournal<T>(file: string): Journal<T> {
  return { note: (entry) => appendFileSync(file, `${JSON.stringify(entry)}\n`) };
}

/** What is in a journal, in the order of writing; nothing where there is none. A last line that was cut off is left out. */
export function readJournal<T>(file: string): T[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return lines.flatMap((line, at) => {
    try {
      return [JSON.parse(line) as T];
    } catch (error) {
      if (at === lines.length - 1) return [];
      throw error;
    }
  });
}
