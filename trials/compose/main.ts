// npm run try:compose: the whole of Waybill in containers on a real engine, from the first start to kills under load.
import { styleText } from "node:util";
import { command, wholeOption } from "../../lib/terminal/command.ts";
import { showDuration } from "../../lib/terminal/rows.ts";
import { needNames, tellTrials, tryEach } from "../try-each.ts";
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
      if (list) return tellTrials(TRIALS);
      needNames(TRIALS, only, "try:compose");
      const trials = only.length === 0 ? TRIALS : TRIALS.filter(({ name }) => only.includes(name));
      const amount = { pieces: wholeOption("pieces", pieces, 1), aSecond: A_SECOND };
      await checkEngine();
      return await tryAll({ trials, amount, keep });
    },
  }),
);

async function tryAll({ trials, amount, keep }: Wish): Promise<number> {
  const began = performance.now();
  const stack = await Stack.make();
  const run = async (trial: Trial) => {
    await prepare(stack, trial);
    return await trial.run(stack, amount);
  };
  const passed = await tryEach(trials, run, async () => await stack.remove());
  const isWhole = passed === trials.length;
  const isKept = !isWhole && keep;
  const isClean = isKept || (await removeAll(stack));
  console.log(`\n${passed} of ${trials.length} passed in ${showDuration(performance.now() - began)}.`);
  if (isKept) console.log(`Kept at ${stack.url}. Remove it: docker compose -p ${stack.project} down --volumes`);
  return isWhole && isClean ? 0 : 1;
}

/** A trial alone needs its variant started, and one after another that failed what that one left away. */
async function prepare(stack: Stack, { name, variant }: Trial): Promise<void> {
  if (name === "up" || name === "up-amqp") return;
  const isUp = stack.variant === variant && (await stack.services()).length > 0 && (await allWell(stack)) === undefined;
  if (!isUp) await stack.up(variant);
}

/** Whether nothing was left behind; says what was. */
async function removeAll(stack: Stack): Promise<boolean> {
  await stack.remove();
  const left = await stack.left();
  if (left.length > 0) console.log(`${styleText("red", "✗")} left behind: ${left.join(", ")}`);
  return left.length === 0;
}
