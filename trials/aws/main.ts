// npm run try:aws: the whole life of a deployment on an emulator of AWS, from an empty account to removal.
import { command } from "../../lib/terminal/command.ts";
import { showDuration } from "../../lib/terminal/rows.ts";
import { needNames, tellTrials, tryEach } from "../try-each.ts";
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
      if (list) return tellTrials(TRIALS);
      needNames(TRIALS, skip, "try:aws");
      return await tryAll(TRIALS.filter(({ name }) => !skip.includes(name)));
    },
  }),
);

async function tryAll(trials: readonly Trial[]): Promise<number> {
  const began = performance.now();
  const world = await World.make();
  const passed = await tryEach(
    trials,
    async (trial) => await trial.run(world),
    async () => await world.remove(),
  );
  await world.remove();
  console.log(`\n${passed} of ${trials.length} passed in ${showDuration(performance.now() - began)}.`);
  return passed === trials.length ? 0 : 1;
}
