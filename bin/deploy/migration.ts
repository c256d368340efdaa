import { setTimeout as sleep } from "node:timers/promises";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import type { MigrateCommand, Migrated, Status } from "../../lib/migrations/command.ts";
import { Failed } from "../../lib/terminal/command.ts";
import { databaseIn } from "./database-name.ts";
import { logsOf, ours, stackOf, type Target } from "./target.ts";

/** What the migrate function answers: what was done, and to which database (host:port/name). */
export type Answer<T extends Migrated = Migrated> = T & { database: string };

/** Longer than the function may take: a call that is given up is not called again, for it goes on. */
const PATIENCE_MS = 920_000;
const LOOK_EVERY_MS = 5_000;

/**
 * Invokes the migrate function of a stage, once, however long it takes. Where the connection is cut meanwhile, looks until no migration runs.
 * Throws Failed with where the database stands then and the whole command that goes on from there.
 */
export async function invokeMigrate(target: Target, command: Partial<MigrateCommand>): Promise<Answer> {
  return await call(target, command).catch(async (error: unknown) => {
    if (error instanceof Failed || command.command === "status" || isRefusal(error)) throw error;
    console.log(`The call was cut (${(error as Error).message}). The function goes on; waiting for its end.`);
    const { running, ...status } = await waitForEnd(target);
    const todo = `Look at the function's log if that is not what you want (${logsOf(target, "migrate")})`;
    throw new Failed(`${standing(status)} ${todo}, or go on with: ${ours(target, "migrate up")}`, { cause: error });
  });
}

/** Lambda has answered that it does not call the function: it does not run. */
function isRefusal(error: unknown): boolean {
  const { $metadata: { httpStatusCode = 0 } = {} } = error as { $metadata?: { httpStatusCode?: number } };
  return httpStatusCode >= 400 && httpStatusCode < 500;
}

/** Where a stage's database stands. Throws Failed where the function cannot say. */
export async function migrationStatus(target: Target): Promise<Answer<Status>> {
  return (await call(target, { command: "status" })) as Answer<Status>;
}

/** In a sentence. */
export function standing({
  database,
  current,
  pending,
}: Pick<Answer<Status>, "database" | "current" | "pending">): string {
  return `The database ${databaseIn(database)} is at ${current ?? "nothing"}; ${pending.length} pending.`;
}

async function call(target: Target, command: Partial<MigrateCommand>): Promise<Answer> {
  const lambda = new LambdaClient({
    region: target.region,
    // The framework's own invoke hangs up after two minutes and calls four times more.
    maxAttempts: 1,
    requestHandler: { requestTimeout: PATIENCE_MS, connectionTimeout: 10_000 },
  });
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({ FunctionName: `${stackOf(target)}-migrate`, Payload: JSON.stringify(command) }),
  );
  const text = Payload === undefined ? "{}" : Buffer.from(Payload).toString("utf8");
  if (FunctionError === undefined) return JSON.parse(text) as Answer;
  throw new Failed(await failure(target, command, text));
}

async function failure(target: Target, command: Partial<MigrateCommand>, text: string): Promise<string> {
  const { errorMessage = text } = JSON.parse(text) as { errorMessage?: string };
  const log = `Its log: ${logsOf(target, "migrate")}`;
  if (command.command === "status") return `The migrate function failed: ${errorMessage}\n${log}`;
  const stands = await migrationStatus(target).then(standing, () => "Where the database stands could not be told.");
  const long = /timed out|timeout/i.test(errorMessage)
    ? "\nWhat takes longer than the function's fifteen minutes is run from a machine that reaches the database, under the same lock: " +
      "DATABASE_URL=postgres://… npm run migrate"
    : "";
  const { command: name = "up", to } = command;
  const way = to === undefined ? [] : ["--to", to];
  const again = ours(target, ["migrate", name, ...way, ...(name === "up" ? [] : ["--yes"])].join(" "));
  // The function migrates by the files of its package: one that is mended here is none of them yet.
  const bring = name === "up" ? ours(target) : `${ours(target)} && ${again}`;
  const todo = `Where the database is mended: ${again}\nWhere a file of migrations/ is, which a deploy brings: ${bring}`;
  return `The migrate function failed: ${errorMessage}\n${stands}${long}\n${log}\n${todo}`;
}

/** What has cut the call may cut a look too: only the last counts. */
async function waitForEnd(target: Target): Promise<Answer<Status>> {
  for (const until = performance.now() + PATIENCE_MS; ; ) {
    await sleep(LOOK_EVERY_MS);
    const isLast = performance.now() > until;
    const status = await migrationStatus(target).catch((error: unknown) => {
      if (isLast || error instanceof Failed || isRefusal(error)) throw error;
      return undefined;
    });
    if (status !== undefined && (isLast || !status.running)) return status;
  }
}
