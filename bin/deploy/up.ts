import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { SSM_VARIABLE } from "../../deploy/stage-plugin.ts";
import { readMigrations } from "../../lib/migrations/files.ts";
import { Failed } from "../../lib/terminal/command.ts";
import { tellAddresses } from "./addresses.ts";
import { alone } from "./alone.ts";
import { type Changes, changesBetween, forgotten, type Template, tellChanges } from "./changes.ts";
import { check, checkCredentials } from "./checks.ts";
import { databaseIn } from "./database-name.ts";
import { isLatest } from "./kept.ts";
import { tellFirstKey } from "./keys.ts";
import { invokeMigrate, migrationStatus, standing } from "./migration.ts";
import { refuseLoss } from "./queues.ts";
import { createSecrets } from "./secrets.ts";
import { serverless } from "./serverless.ts";
import { deleteSmokeQueues, smokeQueuesOf } from "./smoke.ts";
import { asIn, deployedTemplate, findStack, needStack, type Stack } from "./stack.ts";
import { flagsOf, ours, type Resolved, resolve, stackOf, type Target } from "./target.ts";

/** What whoever deploys says of it beside the stage. */
export type Wish = {
  /** Messages may be lost. */
  yes: boolean;
  /** The database is not to be reached from this machine. */
  unreached: boolean;
  createSecrets: boolean;
};

/** The framework's commands of a deployment, in their order. */
export function stepsOf(target: Target): { package: string[]; deploy: string[] } {
  const params = target.params.flatMap((param) => ["--param", param]);
  return {
    package: ["package", ...flagsOf(target), ...params],
    deploy: ["deploy", "--package", ".serverless", ...flagsOf(target), ...params],
  };
}

/** What a plan has found. */
type Planned = {
  resolved: Resolved;
  stack: Stack | undefined;
  before: Template;
  /** Migrations of the database that this checkout lacks. */
  ahead: string[];
};

/** Says what a deploy would change, and changes nothing. Throws Failed as `up` does. */
export async function plan(target: Target, wish: Wish): Promise<void> {
  await alone(again(target, wish, "plan"), async () => await look(target, wish));
}

/**
 * Looks at what is missing, packages, and says what a deploy would change. Throws Failed where something is missing, where the deploy would
 * forget what the one before was told, and where messages would be lost that nobody has given up.
 */
async function look(target: Target, wish: Wish): Promise<Planned> {
  await checkCredentials(target);
  if (wish.createSecrets) await createSecrets(target);
  const resolved = await resolve(target);
  await check(target, resolved, wish);
  const stack = await findStack(target);
  if (stack !== undefined) needUpdatable(target, stack);
  const ahead = stack === undefined ? [] : await migrationsAhead(target, resolved);
  if (ahead.length > 0 && !wish.yes) throw new Failed(behind(target, ahead));
  const before = stack === undefined ? {} : await deployedTemplate(target);
  refuseForgetting(target, before);
  const code = await serverless(stepsOf(target).package, { [SSM_VARIABLE]: JSON.stringify(resolved.ssm) });
  if (code !== 0)
    throw new Failed(
      `package failed (exit code ${code}). Nothing was deployed. Mend what it names, then: ${again(target, wish)}`,
    );
  const after = JSON.parse(await readFile(".serverless/cloudformation-template-update-stack.json", "utf8")) as Template;
  const changes = changesBetween(before, after);
  tell(target, stack, changes);
  await refuseLoss(target.region, changes.queuesLost, wish.yes, ours(target, "--yes"));
  return { resolved, stack, before, ahead };
}

/** Deploys a stage: plan, deploy, migrate, give the first owner its key. Throws Failed with what is true then, and the whole command that goes on. */
export async function up(target: Target, wish: Wish): Promise<Stack> {
  const { resolved, before, ahead } = await alone(again(target, wish), async () => await deploy(target, wish));
  if (ahead.length > 0) {
    console.log(`\nNothing is migrated: the database has ${ahead.join(", ")}, which this checkout lacks.`);
  } else {
    console.log(`\nMigrating ${databaseIn(resolved.textOf("databaseUrl"))}`);
    await migrateUp(target, await migrationStatus(target));
    await tellFirstKey(target);
  }
  const was = asIn(target, before);
  if (smokeQueuesOf(was)[0] !== smokeQueuesOf(target)[0]) {
    await deleteSmokeQueues(was).catch((error: Error) => {
      console.log(`  !   the queues ${smokeQueuesOf(was).join(" and ")} of the old prefix are left: ${error.message}`);
    });
  }
  return await needStack(target);
}

/** The command once more, as it was given. */
function again(target: Target, { yes, unreached }: Wish, name = ""): string {
  const words = [name, unreached ? "--unreached" : "", yes ? "--yes" : ""];
  return ours(target, words.filter(Boolean).join(" "));
}

async function deploy(target: Target, wish: Wish): Promise<Planned> {
  const planned = await look(target, wish);
  const { stack, before } = planned;
  const steps = stepsOf(target);
  // The framework compares with what was uploaded last, and passes over a stack that has gone back meanwhile.
  const force = stack === undefined || (await isLatest(target, stack, before)) ? [] : ["--force"];
  const code = await serverless([...steps.deploy, ...force]);
  if (code !== 0) throw new Failed(await deployFailure(target, stack, code));
  return planned;
}

/**
 * The migrations of the database that the stage has, and keeps, which this checkout lacks: as after a rollback, or where somebody has
 * deployed a newer one. None where that cannot be asked: it may be what this deploy mends.
 */
async function migrationsAhead(target: Target, { textOf }: Resolved): Promise<string[]> {
  const status = await migrationStatus(target).catch(() => undefined);
  if (status === undefined || databaseIn(status.database) !== databaseIn(textOf("databaseUrl"))) return [];
  const known = new Set(readMigrations("migrations").map(({ name }) => name));
  return status.applied.map(({ name }) => name).filter((name) => !known.has(name));
}

function behind(target: Target, ahead: readonly string[]): string {
  return (
    `The database has ${ahead.join(", ")}, which this checkout lacks: somebody has deployed a newer one. Nothing was deployed. Deploy a ` +
    `checkout that has it. If you mean to stay with the older code, which a migration suits as long as it only adds, this ` +
    `deploys and migrates nothing: ${ours(target, "--yes")}`
  );
}

/** Migrates a stage's database up from where it stands, and says what was done. */
export async function migrateUp(target: Target, status: Parameters<typeof standing>[0]): Promise<void> {
  console.log(`  ${standing(status)}`);
  const done = await invokeMigrate(target, { command: "up" });
  if (done.command === "up") for (const name of done.applied) console.log(`  applied  ${name}`);
}

/** Says, when all is done, what is true. */
export function tellDone(target: Target, stack: Stack): void {
  console.log(`\n${stack.name} is up in ${target.region}.`);
  for (const line of tellAddresses(target, stack)) console.log(line);
}

function tell(target: Target, stack: Stack | undefined, changes: Changes): void {
  const { stage } = target;
  const from = stage.hasFile ? stage.file : `the defaults, as there is no ${stage.file}`;
  if (stack === undefined) {
    console.log(
      `\nThere is no stack ${stackOf(target)} yet: it is made from ${from}, with ${changes.added.length} resources.`,
    );
    return;
  }
  const lines = tellChanges(changes);
  console.log(`\nWhat changes of ${stack.name}, from ${from}:`);
  for (const line of lines) console.log(line);
  console.log(`  ${lines.length === 0 ? "nothing but " : ""}the functions' code, where it is another`);
}

function refuseForgetting(target: Target, before: Template): void {
  const lost = forgotten(before, target.stage.said);
  if (lost.length === 0) return;
  const lines = lost.map(({ name, value }) => `${name}: ${JSON.stringify(value)}`);
  throw new Failed(
    `${stackOf(target)} was deployed with what is said nowhere now:\n${lines.map((line) => `  ${line}`).join("\n")}\n` +
      `Write it into ${target.stage.file} to keep it, or the value that it is to have from now on; then: ${ours(target)}`,
  );
}

/** Throws Failed where a stack must be left alone, or cannot be updated from where it stands, with the commands that end that. */
export function needUpdatable(target: Target, { name, status }: Pick<Stack, "name" | "status">): void {
  const by = `--region ${target.region} --stack-name ${name}`;
  if (status === "ROLLBACK_COMPLETE" || status === "ROLLBACK_FAILED" || status === "REVIEW_IN_PROGRESS") {
    throw new Failed(
      `${name} was never whole (${status}): its first deploy failed. Take it away, then deploy again:\n` +
        `  aws cloudformation delete-stack ${by} && aws cloudformation wait stack-delete-complete ${by} && ${ours(target)}`,
    );
  }
  if (status === "UPDATE_ROLLBACK_FAILED") {
    throw new Failed(
      `${name} is stuck (${status}). Have it go on, then deploy: aws cloudformation continue-update-rollback ${by} && aws cloudformation wait stack-rollback-complete ${by} && ${ours(target)}`,
    );
  }
  if (status === "DELETE_FAILED") throw new Failed(`${name} is half removed. Finish that: ${ours(target, "remove")}`);
  if (status.endsWith("_IN_PROGRESS")) {
    const wait = `aws cloudformation wait ${waiterOf(status)} ${by}`;
    throw new Failed(
      `${name} is being changed (${status}). Wait for its end, whatever it is: ${wait}; ${ours(target)}`,
    );
  }
}

/** The AWS CLI's word for what ends a state; each waits an hour for any other end. */
function waiterOf(status: string): string {
  if (status.startsWith("DELETE")) return "stack-delete-complete";
  if (status.startsWith("UPDATE_ROLLBACK")) return "stack-rollback-complete";
  return status.startsWith("UPDATE") ? "stack-update-complete" : "stack-create-complete";
}

/** CloudFormation rolls back what has failed some minutes longer than the framework waits for it. */
const END_MS = 900_000;
const LOOK_EVERY_MS = 5_000;

/** The stack once nothing changes it any more. */
async function stackAtRest(target: Target): Promise<Stack | undefined> {
  for (const until = performance.now() + END_MS; ; ) {
    const stack = await findStack(target).catch(() => undefined);
    const moves = stack?.status.endsWith("_IN_PROGRESS") === true && stack.status !== "REVIEW_IN_PROGRESS";
    if (!moves || performance.now() > until) return stack;
    console.log(`  ${stack.name} is ${stack.status}; waiting for its end.`);
    await sleep(LOOK_EVERY_MS);
  }
}

async function deployFailure(target: Target, before: Stack | undefined, code: number): Promise<string> {
  const now = await stackAtRest(target);
  return `deploy failed (exit code ${code}). ${standsAfter(before, now)} No migration ran. Mend what it names, then: ${ours(target)}`;
}

/** What is true of a stack after a deploy that failed. */
export function standsAfter(
  before: Pick<Stack, "status" | "updated"> | undefined,
  now: Pick<Stack, "name" | "status" | "updated"> | undefined,
): string {
  if (now === undefined) return before === undefined ? "Nothing was made." : "How the stack stands could not be told.";
  if (before?.status === now.status && before.updated === now.updated)
    return `${now.name} is as it was (${now.status}).`;
  // The framework makes the stack with its bucket alone, and updates it.
  if (before === undefined && now.status === "UPDATE_ROLLBACK_COMPLETE") {
    return `CloudFormation has rolled ${now.name} back: it has nothing but the bucket of its deploys.`;
  }
  if (now.status === "UPDATE_ROLLBACK_COMPLETE") return `CloudFormation has rolled ${now.name} back: it is as it was.`;
  if (/^(ROLLBACK_COMPLETE|REVIEW_IN_PROGRESS)$/.test(now.status)) return `${now.name} was not made (${now.status}).`;
  // The framework has failed, or was ended, after it: the stack says so by its time alone.
  if (now.status === "UPDATE_COMPLETE") return `CloudFormation has changed ${now.name} all the same.`;
  return `${now.name} is ${now.status}.`;
}
