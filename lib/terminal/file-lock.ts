import { DatabaseSync } from "node:sqlite";

/** https://www.sqlite.org/rescode.html#busy */
const BUSY = 5;

/**
 * Takes what a file stands for, for this process alone, until `release` or the process' end, however that comes. Undefined where another
 * has it. It is SQLite's lock on that file: the system drops it with the process, and no reused pid can hold it. Throws, naming the file,
 * where it is none to take a lock on.
 */
export function takeLock(file: string): { release: () => void } | undefined {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(file);
    lock.exec("begin exclusive");
    return { release: () => lock?.close() };
  } catch (cause) {
    lock?.close();
    const { errcode, message } = cause as Error & { errcode?: number };
    if (errcode === BUSY) return undefined;
    throw new Error(`${file} cannot be locked: ${message}. Take it away: rm -r ${file}`, { cause });
  }
}
