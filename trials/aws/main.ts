// npm run try:aws: the whole life of a deployment on an emulator of AWS, from an empty account to removal.
import { styleText } from "node:util";
import { command, WrongUse } from "../../lib/terminal/command.ts";
import { showDuration } from "../../lib/terminal/rows.ts";
import { changeTrials } from "./changes.ts";
import { firstTrials } from "./first.ts";
import { lastTrials } from "./last.ts";
import { rightsTrials } from "./rights.ts";
import type { Trial } from "./trial.ts";
import { World } from "./world.ts";

const usage = `Usage: AWS_ENDPOINT_URL=http://127.0.0.1:… npm run try:aws -- [--skip NAME ...] [--list]

Deploys the stage trial to an emulator of AWS with a Postgres of its own, tries what docs/deploy.md promises, prints a line for each
thing, and removes all of it. It takes about a quarter of an hour. The emulator runs functions on this machine and enforces IAM.
  --skip NAME   not this trial; may be given again. Later ones build on first-deploy
  --list        the trials`;

const TRIALS: Trial[] = [...firstTrials, ...rightsTrials, ...changeTrials, ...lastTrials];

process.exit(
  await command({
    usage,
    options: {
      skip: { type: "string", multiple: true, default: [] },
      list: { type: "boolean", default: false },
    },
    run: async ({ values: { skip, list } }) => {
      const unknown = skip.find((name) => TRIALS.every((trial) => trial.name !== name));
      if (unknown !== undefined) throw new WrongUse(`There is no trial ${unknown}. See: npm run try:aws -- --list`);
      const trials = TRIALS.filter(({ name }) => !skip.includes(name));
      if (!list) return await tryAll(trials);
      for (const { name, says } of trials) console.log(`${name.padEnd(18)} ${says}`);
      return 0;
    },
  }),
);

async function tryAll(trials: readonly Trial[]): Promise<number> {
  const began = performance.now();
  const world = await World.make();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      console.log(`\nStopped by ${signal}. Removing the stages …`);
      void world.remove().finally(() => process.exit(130));
    });
  }
  let passed = 0;
  for (const trial of trials) passed += (await tryOne(world, trial)) ? 1 : 0;
  await world.remove();
  console.log(`\n${passed} of ${trials.length} passed in ${showDuration(performance.now() - began)}.`);
  return passed === trials.length ? 0 : 1;
}

async function tryOne(world: World, { name, says, run }: Trial): Promise<boolean> {
  const began = performance.now();
  const took = () => styleText("dim", showDuration(performance.now() - began));
  try {
    const seen = await run(world);
    console.log(`${styleText("green", "✓")} ${name}: ${says}: ${seen} ${took()}`);
    return true;
  } catch (error) {
    console.log(`${styleText("red", "✗")} ${name}: ${says}: ${(error as Error).message} ${took()}`);
    return false;
  }
}
