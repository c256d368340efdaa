import { log } from "../../runtime/log.ts";

/** The journal's disk is full, read-only or broken: nothing new can be begun, and what cannot be read is not known. */
export class Unwritable extends Error {
  override name = "Unwritable";
}

/** SQLite's result codes: read-only, an error of the disk, no room, cannot be opened. */
const UNWRITABLE = [8, 10, 13, 14];
/** The file is not what it was, or no database. */
const DAMAGED = [11, 26];

/** Whether it is an error of the file, not of what was asked. */
export function isBroken(error: unknown): boolean {
  return isOneOf([...UNWRITABLE, ...DAMAGED], error);
}

/** Whether it is one that does not pass. */
export function isDamaged(error: unknown): boolean {
  return isOneOf(DAMAGED, error);
}

function isOneOf(codes: readonly number[], error: unknown): boolean {
  const { errcode } = error as { errcode?: number };
  return errcode !== undefined && codes.includes(errcode & 0xff);
}

/** Says in the log what is wrong with the journal, what that means, and what to do. */
export function tellBroken(file: string, error: unknown, everySeconds: number): void {
  const says =
    "no new work is taken; what runs goes on from memory, or back to the queue where what it said cannot be read";
  const todo = isDamaged(error)
    ? `stop this agent, move ${file} and its -wal away, and start it again`
    : `make room on the disk of ${file}, or mend it: it is tried again every ${everySeconds} s`;
  log.error(isDamaged(error) ? "journal damaged" : "journal not writable", { file, error, says, todo });
}
