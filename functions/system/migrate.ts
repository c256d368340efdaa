import { CallerError } from "../../lib/errors.ts";
import { type MigrateCommand, type Migrated, parseCommand } from "../../lib/migrations/command.ts";
import { migrate } from "../../lib/migrations/migrator.ts";
import { databaseName } from "../../lib/migrations/reach.ts";
import { log } from "../../lib/runtime/log.ts";
import { prepareDatabase } from "../../lib/wiring/database.ts";

/**
 * Invoked by a deploy or by hand, never from outside: takes {command: up | down | status | sql | redo, to?, step?} (nothing
 * at all means up; down and redo want to) and answers what it did and to which database. Fails with what to do where it did not. After
 * up it stores the definitions of the agents that ship.
 */
export async function handler(event: unknown): Promise<Migrated & { database: string }> {
  const command = parseCommand(event);
  needTarget(command);
  if (command.command !== "sql") log.info("database to migrate", { database: databaseName(), ...command });
  const migrated = await migrate(command);
  if (migrated.command !== "sql") log.info("database migrated", migrated);
  if (migrated.command === "up") {
    for (const agent of await prepareDatabase()) log.info("agent synced", agent);
  }
  return { ...migrated, database: databaseName() };
}

/** A client that hears no answer calls again: without a target each call would take back one migration more. */
function needTarget({ command, to }: MigrateCommand): void {
  if ((command !== "down" && command !== "redo") || to !== undefined) return;
  const message = `${command} wants a target: the last migration that stays, such as {"command": "${command}", "to": "0001"}, or 0 for none.`;
  throw new CallerError(400, "invalid_input", message, { fields: [{ field: "to", message: "is missing" }] });
}
