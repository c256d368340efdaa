import { Failed } from "../../lib/terminal/command.ts";
import { takeLock } from "../../lib/terminal/file-lock.ts";

/** Who holds it packages in this folder. */
export const LOCK = ".serverless.lock.db";

/**
 * Runs it while no other deploy packages in this folder: the framework has one place for what it packages, and another's package must
 * not come between ours and its deploy. Throws Failed where another does, with `again`, the command to give once more.
 */
export async function alone<T>(again: string, run: () => Promise<T>): Promise<T> {
  const lock = takeLock(LOCK);
  if (lock === undefined) {
    const todo = `Wait for its end, or deploy from a second clone; then: ${again}`;
    throw new Failed(`Another deploy packages in this folder. Nothing was deployed. ${todo}`);
  }
  try {
    return await run();
  } finally {
    lock.release();
  }
}
