import { DatabaseSync } from "node:sqlite";

/**
 * Takes what a file stands for, for this process alone, until `release` or the process' end, however that comes. Undefined where another
 * has it. It is SQLite's lock on that file: the system drops it with the process, and no reused pid can hold it.
 */
export function takeLock(file: string): { release: () => void } | undefined {
  const lock = new DatabaseSync(file);
  try {
    lock.exec("begin exclusive");
    return { release: () => lock.close() };
  } catch {
    lock.close();
    return undefined;
  }
}
