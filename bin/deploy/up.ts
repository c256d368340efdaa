import { readFile } from "node:fs/promises";
import { SSM_VARIABLE } from "../../deploy/stage-plugin.ts";
import { readMigrations } from "../../lib/migrations/files.ts";
import { Failed } from "../../lib/terminal/command.ts";
import { tellAddresses } from "./addresses.ts";
import { alone } from "./alone.ts";
import { type Changes, changesBetween, forgotten, type Template, tellChanges } from "./changes.ts";
import { check, checkCredentials } from "./checks.ts";
import { databaseIn } from "./database-name.ts";
import { isLatest } from "./kept.ts";
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
type Planned = { resolved: Resolved; stack: Stack | undefined; before: Template };

/** Says what a deploy would change, and changes nothing. Throws Failed as `up` does. */
export async function plan(target: Target, wish: Wish): Promise<void> {
  await alone(target, async () => await look(target, wish));
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
  if (stack !== undefined) {
    needUpdatable(target, stack);
    await refuseOlder(target, resolved);
  }
  const before = stack === undefined ? {} : await deployedTemplate(target);
  refuseForgetting(target, before);
  const code = await serverless(stepsOf(target).package, { [SSM_VARIABLE]: JSON.stringify(resolved.ssm) });
  if (code !== 0)
    throw new Failed(
      `package failed (exit code ${code}). Nothing was deployed. Mend what it names, then: ${ours(target)}`,
    );
  const after = JSON.parse(await readFile(".serverless/cloudformation-template-update-stack.json", "utf8")) as Template;
  const changes = changesBetween(before, after);
  tell(target, stack, changes);
  await refuseLoss(target.region, changes.queuesLost, wish.yes, ours(target, "--yes"));
  return { resolved, stack, before };
}

/** Deploys a stage: plan, deploy, migrate. Throws Failed with what is true then, and the whole command that goes on. */
export async function up(target: Target, wish: Wish): Promise<Stack> {
  const resolved = await alone(target, async () => await deploy(target, wish));
  console.log(`\nMigrating ${databaseIn(resolved.textOf("databaseUrl"))}`);
  await migrateUp(target, await migrationStatus(target));
  return await needStack(target);
}

async function deploy(target: Target, wish: Wish): Promise<Resolved> {
  const { resolved, stack, before } = await look(target, wish);
  const steps = stepsOf(target);
  // The framework compares with what was uploaded last, and passes over a stack that has gone back meanwhile.
  const force = stack === undefined || (await isLatest(target, stack, before)) ? [] : ["--force"];
  const code = await serverless([...steps.deploy, ...force]);
  if (code !== 0) throw new Failed(await deployFailure(target, stack, code));
  const was = asIn(target, before);
  if (smokeQueuesOf(was)[0] !== smokeQueuesOf(target)[0]) await deleteSmokeQueues(was);
  return resolved;
}

/**
 * Throws Failed where the database that the stage has, and keeps, knows migrations that this checkout lacks: its functions were not written
 * for them, and migrating would fail once they are deployed. What cannot be asked may be what this deploy mends.
 */
async function refuseOlder(target: Target, { textOf }: Resolved): Promise<void> {
  const status = await migrationStatus(target).catch(() => undefined);
  if (status === undefined || databaseIn(status.database) !== databaseIn(textOf("databaseUrl"))) return;
  const known = new Set(readMigrations("migrations").map(({ name }) => name));
  const unknown = status.applied.map(({ name }) => name).filter((name) => !known.has(name));
  const last = status.applied.map(({ name }) => name).findLast((name) => known.has(name)) ?? "0";
  if (unknown.length === 0) return;
  throw new Failed(
    `The database ${databaseIn(status.database)} has ${unknown.join(", ")}, which this checkout has not. Deploy one that has; or, before an ` +
      `older one, take them back: ${ours(target, `migrate down --to ${last}`)}. Functions alone go back by: ${ours(target, "rollback")}`,
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

async function deployFailure(target: Target, before: Stack | undefined, code: number): Promise<string> {
  const now = await findStack(target).catch(() => undefined);
  return `deploy failed (exit code ${code}). ${standsAfter(before, now)} No migration ran. Mend what it names, then: ${ours(target)}`;
}

/** What is true of a stack after a deploy that failed. */
export function standsAfter(
  before: Pick<Stack, "status" | "updated"> | undefined,
  now: Pick<Stack, "name" | "status" | "updated"> | undefined,
): string {
  if (now === undefined) return before === undefined ? "Nothing was made." : "How the stack stands could not be told.";
  // The framework makes the stack with its bucket alone, and updates it.
  if (before === undefined && now.status === "UPDATE_ROLLBACK_COMPLETE") {
    return `CloudFormation has rolled ${now.name} back: it has nothing but the bucket of its deploys.`;
  }
  if (now.status === "UPDATE_ROLLBACK_COMPLETE") return `CloudFormation has rolled ${now.name} back: it is as it was.`;
  if (/ROLLBACK_COMPLETE|REVIEW_IN_PROGRESS/.test(now.status)) return `${now.name} was not made (${now.status}).`;
  if (before?.status === now.status && before.updated === now.updated)
    return `${now.name} is as it was (${now.status}).`;
  // The framework has failed, or was ended, after it: the stack says so by its time alone.
  if (now.status === "UPDATE_COMPLETE") return `CloudFormation has changed ${now.name} all the same.`;
  return `${now.name} is ${now.status}.`;
}
