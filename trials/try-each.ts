import { styleText } from "node:util";
import { WrongUse } from "../lib/terminal/command.ts";
import { showDuration } from "../lib/terminal/rows.ts";

/** What a trial is called, and what must hold. */
export type Named = { name: string; says: string };

/** Prints what there is to try, a line a trial. */
export function tellTrials(trials: readonly Named[]): void {
  const width = Math.max(...trials.map(({ name }) => name.length));
  for (const { name, says } of trials) console.log(`${name.padEnd(width)}  ${says}`);
}

/** Throws WrongUse for the first name that no trial has; `script` is the npm script that lists them. */
export function needNames(trials: readonly Named[], names: readonly string[], script: string): void {
  const unknown = names.find((name) => trials.every((trial) => trial.name !== name));
  if (unknown !== undefined) throw new WrongUse(`There is no trial ${unknown}. See: npm run ${script} -- --list`);
}

/**
 * Tries one after the other, prints a line for each with what was seen or why it failed, and answers how many passed. From its call on a
 * signal has everything removed and ends the process with 130; no trial begins while that goes on.
 */
export async function tryEach<T extends Named>(
  trials: readonly T[],
  run: (trial: T) => Promise<string>,
  remove: () => Promise<unknown>,
): Promise<number> {
  const stopping = removeOnSignals(remove);
  let passed = 0;
  for (const trial of trials) {
    passed += (await tryOne(trial, run)) ? 1 : 0;
    await stopping();
  }
  return passed;
}

async function tryOne<T extends Named>(trial: T, run: (trial: T) => Promise<string>): Promise<boolean> {
  const began = performance.now();
  const tell = (sign: string, what: string) => {
    const took = styleText("dim", showDuration(performance.now() - began));
    console.log(`${sign} ${trial.name}: ${trial.says}: ${what} ${took}`);
  };
  try {
    tell(styleText("green", "✓"), await run(trial));
    return true;
  } catch (error) {
    tell(styleText("red", "✗"), (error as Error).message);
    return false;
  }
}

/** Answers what waits for the removal, once a signal has begun it. */
function removeOnSignals(remove: () => Promise<unknown>): () => Promise<void> {
  let removal: Promise<void> | undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      console.log(`\nStopped by ${signal}. Removing what the run has made …`);
      removal ??= remove()
        .catch((error: unknown) => console.log((error as Error).message))
        .then(() => process.exit(130));
    });
  }
  return async () => await removal;
}
