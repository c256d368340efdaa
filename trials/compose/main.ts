// npm run try:compose: the whole of Waybill in containers on a real engine, from the first start to kills under load.
import { styleText } from "node:util";
import { command, WrongUse, wholeOption } from "../../lib/terminal/command.ts";
import { showDuration } from "../../lib/terminal/rows.ts";
import { allWell, containerTrials } from "./containers.ts";
import { checkEngine } from "./engine.ts";
import { rabbitMqFaults, sqsFaults } from "./faults.ts";
import { firstTrials, laterTrials, rabbitMqTrials } from "./life.ts";
import type { Amount } from "./load.ts";
import { Stack } from "./stack.ts";
import type { Trial } from "./trial.ts";

const usage = `Usage: npm run try:compose -- [--only NAME ...] [--pieces N] [--list] [--keep]

Builds the images, starts docker-compose.yml as a project of its own on free ports, tries what it promises, prints a line for
each thing, and removes all of it. It takes about half an hour, needs Docker with Compose and buildx, and 4 GB of memory.
  --only NAME   only this trial, and the start that it needs; may be given again
  --pieces N    pieces of work of each load (100), 10 a second
  --list        the trials
  --keep        leave the containers of a failed run for a look`;

const TRIALS: Trial[] = [
  ...firstTrials,
  ...containerTrials,
  ...sqsFaults,
  ...laterTrials,
  ...rabbitMqTrials,
  ...rabbitMqFaults,
];

const A_SECOND = 10;

type Wish = { trials: Trial[]; amount: Amount; keep: boolean };

process.exit(
  await command({
    usage,
    options: {
      only: { type: "string", multiple: true, default: [] },
      pieces: { type: "string", default: "100" },
      list: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
    },
    run: async ({ values: { only, pieces, list, keep } }) => {
      if (list) return tellAll();
      const trials = chosen(only);
      const amount = { pieces: wholeOption("pieces", pieces, 1), aSecond: A_SECOND };
      await checkEngine();
      return await tryAll({ trials, amount, keep });
    },
  }),
);

function tellAll(): void {
  for (const { name, says } of TRIALS) console.log(`${name.padEnd(22)} ${says}`);
}

function chosen(names: string[]): Trial[] {
  const unknown = names.find((name) => TRIALS.every((trial) => trial.name !== name));
  if (unknown !== undefined) throw new WrongUse(`There is no trial ${unknown}. See: npm run try:compose -- --list`);
  return names.length === 0 ? TRIALS : TRIALS.filter(({ name }) => names.includes(name));
}

async function tryAll({ trials, amount, keep }: Wish): Promise<number> {
  const began = performance.now();
  const stack = await Stack.make();
  const stopping = removeOnSignals(stack);
  let failed = 0;
  for (const trial of trials) {
    failed += (await tryOne(stack, trial, amount)) ? 0 : 1;
    await stopping();
  }
  const kept = failed > 0 && keep;
  if (!kept) failed += await removeAll(stack);
  const took = showDuration(performance.now() - began);
  const passed = trials.length - failed;
  console.log(`\n${passed} of ${trials.length} passed in ${took}.`);
  if (kept) console.log(`Kept at ${stack.url}. Remove it: docker compose -p ${stack.project} down --volumes`);
  return failed === 0 ? 0 : 1;
}

async function tryOne(stack: Stack, trial: Trial, amount: Amount): Promise<boolean> {
  const began = performance.now();
  const took = () => styleText("dim", showDuration(performance.now() - began));
  try {
    await prepare(stack, trial);
    const seen = await trial.run(stack, amount);
    console.log(`${styleText("green", "✓")} ${trial.name}: ${trial.says}: ${seen} ${took()}`);
    return true;
  } catch (error) {
    console.log(`${styleText("red", "✗")} ${trial.name}: ${trial.says}: ${(error as Error).message} ${took()}`);
    return false;
  }
}

/** A trial alone needs its variant started, and one after another that failed what that one left away. */
async function prepare(stack: Stack, { name, variant }: Trial): Promise<void> {
  if (name === "up" || name === "up-amqp") return;
  const isUp = stack.variant === variant && (await stack.services()).length > 0 && (await allWell(stack)) === undefined;
  if (!isUp) await stack.up(variant);
}

async function removeAll(stack: Stack): Promise<number> {
  await stack.remove();
  const left = await stack.left();
  if (left.length === 0) return 0;
  console.log(`${styleText("red", "✗")} left behind: ${left.join(", ")}`);
  return 1;
}

/** Has a signal remove everything and end the process; answers what waits for that, once it has begun. */
function removeOnSignals(stack: Stack): () => Promise<void> {
  let removal: Promise<void> | undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      console.log(`\nStopped by ${signal}. Removing the containers …`);
      removal ??= stack.remove().finally(() => process.exit(130));
    });
  }
  return async () => await removal;
}
