import { type Migrated, parseRepeatable } from "../../lib/migrations/command.ts";
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
  const command = parseRepeatable(event);
  if (command.command !== "sql") log.info("database to migrate", { database: databaseName(), ...command });
  const migrated = await migrate(command);
  if (migrated.command !== "sql") log.info("database migrated", migrated);
  if (migrated.command === "up") {
    for (const agent of await prepareDatabase()) log.info("agent synced", agent);
  }
  return { ...migrated, database: databaseName() };
}
