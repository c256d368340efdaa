import { resolve } from "node:path";
import { styleText } from "node:util";
import postgres from "postgres";
import type { Queues } from "../lib/runtime/aws/queues.ts";
import { connect, isConnectionError, type Pool } from "../lib/runtime/postgres/db.ts";
import { Failed } from "../lib/terminal/command.ts";
import { confirmByName } from "../lib/terminal/confirm.ts";
import { onPlane } from "../lib/wiring/command-plane.ts";
import type { ControlPlane } from "../lib/wiring/control-plane.ts";
import { type Running, runningOver } from "../localstack/parts/data-dir.ts";
import { localSettings } from "../localstack/parts/local-settings.ts";
import { leaveShell } from "../localstack/parts/shell.ts";

/** The option of every command by which it is told which stack it is for. */
export const stackOption = { data: { type: "string" } } as const;

/** What the usage of such a command says of it. */
export const STACK_USAGE = `--data DIR: on the stack that npm start runs over this folder. Without it on the database of DATABASE_URL, else on the stack over
WAYBILL_DATA, else on that over .waybill.`;

/** The database that a command is for. */
export type Target = {
  /** The environment of the command: this process's, with what the stack wrote down. */
  source: NodeJS.ProcessEnv;
  stack: Running | undefined;
  /** What it belongs to, in words. */
  of: string;
};

/**
 * The database that a command is for: that of the stack over `data`, of DATABASE_URL, of the stack over WAYBILL_DATA or .waybill, in this
 * order. Throws Failed where there is none: whatever else listens on the usual port is somebody else's.
 */
export function findTarget(data?: string): Target {
  // What a command has to say it says in words.
  process.env["LOG_LEVEL"] ||= "error";
  if (data === undefined && process.env["DATABASE_URL"])
    return { source: process.env, stack: undefined, of: "DATABASE_URL" };
  const { folder, stack } = findStack(data);
  if (stack === undefined) {
    const others = "name its folder (--data DIR or WAYBILL_DATA), or set DATABASE_URL";
    throw new Failed(
      `No stack runs over ${folder}. Start it (npm start${data === undefined ? "" : ` -- --data ${data}`}), ${others}.`,
    );
  }
  leaveShell();
  return { source: { ...process.env, ...stack.environment }, stack, of: `the stack over ${folder} (${stack.url})` };
}

/** The folder of a stack, as `npm start` finds it, and the stack that runs over it; undefined where none does. */
export function findStack(data?: string): { folder: string; stack: Running | undefined } {
  const { env, default: usual = "" } = localSettings.dataDir;
  const folder = data === undefined ? resolve(process.env[env] || usual) : resolve(data);
  const stack = runningOver(folder);
  return { folder, stack: stack !== undefined && isAlive(stack.pid) ? stack : undefined };
}

/** One that was killed outright could not take its note away. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as { code?: unknown }).code === "EPERM";
  }
}

/** Says which database is about to be changed: on stderr, for stdout has what the command answers. */
export function announce({ source, of }: Target): void {
  const told = `Database ${nameOf(connect(source))}, of ${of}`;
  process.stderr.write(`${styleText("dim", told, { stream: process.stderr })}\n`);
}

/**
 * Has whoever is at the terminal confirm, by the database's name, what cannot be taken back; `loss` says what that is. Throws Failed where
 * there is no terminal, or the name is another.
 */
export async function confirmLoss({ source }: Target, loss: string): Promise<void> {
  const { database } = connect(source).options;
  await confirmByName({ name: database, of: "database", loss, otherwise: "Nothing was changed." });
}

/**
 * What `run` answers with the control plane of a command, on its database. Throws Failed, with what to do, where the database is away or not
 * migrated, or refuses a statement.
 */
export async function onDatabase<T>(
  run: (plane: ControlPlane) => Promise<T>,
  target: Target,
  { source = target.source, queues }: { source?: NodeJS.ProcessEnv; queues?: Queues } = {},
): Promise<T> {
  let db: Pool | undefined;
  try {
    const kept = async (plane: ControlPlane) => {
      db = plane.db;
      return await run(plane);
    };
    return await onPlane(kept, { source, queues });
  } catch (error) {
    throw inWords(error, db && nameOf(db));
  }
}

/** Names a database without its password. */
export function nameOf(db: Pool): string {
  const { host, port, database } = db.options;
  return `${host.map((name, index) => `${name}:${port[index]}`).join()}/${database}`;
}

/** An error of the database as Failed, in words for whoever typed the command; any other as it is. */
export function inWords(cause: unknown, name = "DATABASE_URL"): unknown {
  if (isConnectionError(cause)) {
    const todo = "Start the local stack (npm start), or set DATABASE_URL.";
    return new Failed(`The database at ${name} does not answer. ${todo}`, { cause });
  }
  if (!(cause instanceof postgres.PostgresError)) return cause;
  const { code, message } = cause;
  const notMigrated = code === "42P01" || code === "42703" || code === "42704";
  const told = notMigrated ? `The database lacks what this needs: ${message}. Run: npm run migrate` : message;
  return new Failed(told, { cause });
}
