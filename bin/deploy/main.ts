// npm run deploy -- [up | plan | migrate | smoke | info | key | rollback | remove] --stage NAME --region REGION
// New functions may meet the old schema for the seconds between deploy and migrate, so a migration must suit both: add first, remove
// in a later deploy.
import { readStage } from "../../deploy/stage.ts";
import { parseCommand } from "../../lib/migrations/command.ts";
import { asArgument, command, Failed, WrongUse } from "../../lib/terminal/command.ts";
import { tellAddresses } from "./addresses.ts";
import { checkCredentials } from "./checks.ts";
import { replaceFirstKey } from "./keys.ts";
import { invokeMigrate, migrationStatus, standing } from "./migration.ts";
import { remove } from "./remove.ts";
import { rollback } from "./rollback.ts";
import { smoke } from "./smoke.ts";
import { asDeployed, needWhole, type Stack } from "./stack.ts";
import { ours, quoted, type Target } from "./target.ts";
import { migrateUp, plan, stepsOf, tellDone, up, type Wish } from "./up.ts";

const usage = `Usage: npm run deploy -- [command] --stage NAME --region REGION [options]

  up        look at what is missing, package, say what changes, deploy, migrate, see one piece of work through (the default)
  plan      all of that up to what would change, and change nothing
  migrate   [up | status | down --to TARGET | redo --to TARGET] the stage's database, by its migrate function, in one call
  smoke     see one piece of work through
  info      addresses, queues, policies
  key       give the first owner another key in place of the one it had
  rollback  list the deploys that are kept; --to TIMESTAMP goes back to one. The schema stays
  remove    take the stage away, once you have seen what is lost

What a stage is stands in deploy/stages/NAME.yml; deploy/stages/example.yml has everything that can be said.

  --param name=value  over the stage's file, for this time; the next deploy asks for it again
  --create-secrets    ask for connection string, password and keys, and make the SSM parameters and secrets that are missing
  --unreached         go on although this machine does not reach the database
  --yes               messages may be lost, the database may be ahead of the checkout; remove and down without asking
  --dry-run           print the commands in their order, and do nothing

Environment: AWS_REGION, AWS credentials as the AWS CLI finds them; WAYBILL_API_URL where the API has another address than its own.`;

type Given = { to: string | undefined; wish: Wish };

type Run = (target: Target, words: string[], given: Given) => Promise<void>;

/** Each command with the options that it takes beside --stage, --region and --param. */
const COMMANDS: Record<string, { takes: string[]; run: Run }> = {
  up: {
    takes: ["create-secrets", "unreached", "yes", "dry-run"],
    run: async (target, _, { wish }) => {
      const stack = await up(target, wish);
      await see(target, stack);
      tellDone(target, stack);
    },
  },
  plan: {
    takes: ["create-secrets", "unreached", "yes"],
    run: async (target, _, { wish }) => {
      await plan(target, wish);
      console.log(`\nNothing was deployed. Have it so: ${ours(target)}`);
    },
  },
  migrate: { takes: ["to", "yes"], run: migrate },
  smoke: {
    takes: [],
    run: async (target) => {
      await checkCredentials(target);
      await see(target, await needWhole(target));
    },
  },
  info: {
    takes: [],
    run: async (target) => {
      await checkCredentials(target);
      const stack = await needWhole(target);
      console.log(`${stack.name} in ${target.region}: ${stack.status}`);
      for (const line of tellAddresses(await asDeployed(target), stack)) console.log(line);
    },
  },
  key: {
    takes: [],
    run: async (target) => {
      await checkCredentials(target);
      await needWhole(target);
      await replaceFirstKey(await asDeployed(target));
    },
  },
  rollback: {
    takes: ["to", "yes"],
    run: async (target, _, { to, wish }) => {
      const stack = await rollback(target, to, wish.yes);
      if (stack !== undefined) await see(target, stack);
    },
  },
  remove: { takes: ["yes"], run: async (target, _, { wish }) => await remove(target, wish.yes) },
};

async function see(target: Target, stack: Stack): Promise<void> {
  console.log("\nOne piece of work through it:");
  await smoke(await asDeployed(target), stack);
}

async function migrate(target: Target, [name = "up", ...more]: string[], { to, wish }: Given): Promise<void> {
  if (more.length > 0) throw new WrongUse(`One command at a time, not also ${more.join(" ")}.`);
  const asked = asArgument(() => parseCommand({ command: name, to }));
  if (name === "sql") throw new WrongUse("sql asks no database, and no stage: npm run migrate -- sql");
  if ((name === "down" || name === "redo") && to === undefined) {
    throw new WrongUse(`${name} wants --to TARGET: the last migration that stays, by name or number, or 0 for none.`);
  }
  await checkCredentials(target);
  const status = await migrationStatus(target);
  if (name === "up" && to === undefined) return await migrateUp(target, status);
  console.log(standing(status));
  if (name === "status") {
    for (const pending of status.pending) console.log(`pending  ${pending}`);
    if (status.running) console.log("Somebody migrates it now.");
    if (status.faults.length > 0) throw new Failed(status.faults.join("\n"));
    return;
  }
  if (name !== "up" && !wish.yes) {
    const again = ours(target, `migrate ${name} --to ${to} --yes`);
    throw new Failed(
      `${name} takes tables and columns away with all that is in them. Nothing was changed. If that is wanted: ${again}`,
    );
  }
  const done = await invokeMigrate(target, asked);
  if (done.command === "sql" || done.command === "status") return;
  for (const reverted of done.reverted) console.log(`reverted ${reverted}`);
  for (const applied of done.applied) console.log(`applied  ${applied}`);
  console.log(standing(done));
}

/** As the options give it; throws WrongUse with what is missing or wrong. */
function readTarget(stage: string | undefined, region: string, params: string[]): Target {
  if (stage === undefined) throw new WrongUse("Which stage? Say --stage dev, for example.");
  if (region === "") throw new WrongUse("Which region? Say --region eu-central-1, for example, or set AWS_REGION.");
  return { stage: asArgument(() => readStage(stage, params)), region, params };
}

/** Options that a command does not take must not be passed over: --to without rollback would deploy. */
function refuseOthers(name: string, takes: readonly string[], values: Record<string, unknown>): void {
  const common = ["stage", "region", "param"];
  const given = Object.keys(values).filter((option) => values[option] !== undefined && values[option] !== false);
  const other = given.find((option) => !common.includes(option) && !takes.includes(option));
  if (other !== undefined) throw new WrongUse(`${name} takes no --${other}.`);
}

/** What AWS has refused where nobody expected it, such as for a right that is missing, in words; any other error as it is. */
function inWords(error: unknown, again: string): unknown {
  if (!(error instanceof Error && "$metadata" in error)) return error;
  const refused = `AWS refused a call (${error.name}): ${error.message}`;
  return new Failed(`${refused}\nWhat was done before it stays. Once that is mended: ${again}`, { cause: error });
}

function tellSteps(target: Target): void {
  const steps = stepsOf(target);
  for (const args of [steps.package, steps.deploy]) console.log(`serverless ${args.map(quoted).join(" ")}`);
  for (const words of ["migrate up", "smoke"]) console.log(ours(target, words));
}

if (import.meta.main) {
  process.exitCode = await command({
    usage,
    options: {
      stage: { type: "string" },
      region: { type: "string", default: process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"] ?? "" },
      param: { type: "string", multiple: true, default: [] },
      to: { type: "string" },
      "create-secrets": { type: "boolean", default: false },
      unreached: { type: "boolean", default: false },
      yes: { type: "boolean", default: false },
      "dry-run": { type: "boolean", default: false },
    },
    positionals: true,
    run: async ({ values, positionals: [name = "up", ...words] }) => {
      const asked = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
      if (asked === undefined) throw new WrongUse(`There is no command ${name}.`);
      refuseOthers(name, asked.takes, values);
      if (name !== "migrate" && words.length > 0)
        throw new WrongUse(`One command at a time, not also ${words.join(" ")}.`);
      const target = readTarget(values.stage, values.region, values.param);
      if (values["dry-run"]) return tellSteps(target);
      // What the command has to say it says in words; the clients of lib/ find their region there.
      process.env["LOG_LEVEL"] ||= "error";
      process.env["AWS_REGION"] = target.region;
      const { yes, unreached, "create-secrets": createSecrets } = values;
      try {
        await asked.run(target, words, { to: values.to, wish: { yes, unreached, createSecrets } });
      } catch (error) {
        throw inWords(error, ours(target, name === "up" ? "" : [name, ...words].join(" ")));
      }
    },
  });
}
