// npm run agents:sync -- FOLDER: the definitions of a folder into the registry, all or none. Unchanged files write nothing.

import { parseArgs } from "node:util";
import { system } from "../lib/access/actor.ts";
import { CallerError, ConfigError } from "../lib/errors.ts";
import { syncFolder } from "../lib/registry/sync.ts";
import { findWithoutQueue, setQueue } from "../lib/registry/versions.ts";
import { agentQueueSettings } from "../lib/runtime/aws/queue-settings.ts";
import { uuidv7 } from "../lib/runtime/ids.ts";
import type { Pool } from "../lib/runtime/postgres/db.ts";
import { readSettings } from "../lib/runtime/settings.ts";
import { queueFor } from "../lib/wiring/agent-queues.ts";
import { runningOver } from "../localstack/parts/data-dir.ts";
import { onDatabase } from "./database.ts";

const USAGE = `Usage: npm run agents:sync -- FOLDER

Stores every definition of FOLDER (*.yaml, *.yml, *.json) in the registry. A file that is as it was writes nothing; where one has a
fault nothing of any is stored. What the files say holds: an older version takes the place of a newer one, and an agent that was
deactivated is active again. Agents of which there is no file stay as they are. On the local stack, or with AGENT_QUEUE_CREATE=true, the
queues that are missing are made. Environment: DATABASE_URL.`;

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  let folder: string;
  try {
    const { values, positionals } = parseArgs({
      args,
      options: { help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    });
    if (values.help) {
      console.log(USAGE);
      return 0;
    }
    if (positionals.length !== 1) throw new CallerError(400, "invalid_input", "Name one folder.");
    folder = positionals[0] ?? "";
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 1;
  }
  return await onDatabase(async (db) => {
    const outcome = await syncFolder(db, system("agents-sync"), folder, { gentle: false, newId: () => uuidv7() }).catch(
      (error: unknown) => {
        // Of the errors of the system only those of files are about the folder; the database has its own words.
        if ((error as NodeJS.ErrnoException).path === undefined) throw error;
        throw new ConfigError(`${folder} cannot be read: ${(error as Error).message}`);
      },
    );
    if (!outcome.ok) {
      const count = outcome.faults.length === 1 ? "1 fault" : `${outcome.faults.length} faults`;
      throw new ConfigError(`${outcome.faults.join("\n")}\n${count}; nothing was stored. See docs/registry.md.`);
    }
    for (const { name, version, file, outcome: done } of outcome.synced) {
      console.log(`${done.padEnd(9)}  ${name} ${version}  ${file}`);
    }
    await makeQueues(
      db,
      outcome.synced.map(({ name }) => name),
    );
  });
}

/** Only where queues are ours to make; elsewhere it is told which are missing. */
async function makeQueues(db: Pool, names: string[]): Promise<void> {
  const running = process.env["DATABASE_URL"] ? undefined : runningOver(".waybill");
  if (running !== undefined) Object.assign(process.env, { ...running.environment, AGENT_QUEUE_CREATE: "true" });
  const named = Object.keys(JSON.parse(process.env["AGENT_QUEUES"] || "{}") as Record<string, string>);
  const missing = (await findWithoutQueue(db, names)).filter(({ name }) => !named.includes(name));
  if (process.env["AGENT_QUEUE_CREATE"] !== "true") {
    for (const { name } of missing) {
      console.log(`no queue   ${name}  gets no work before it has one: PUT /agents/${name} finds or makes it`);
    }
    return;
  }
  const settings = readSettings(agentQueueSettings);
  for (const definition of missing) {
    const url = await queueFor(settings, definition);
    if (url === null) continue;
    await setQueue(db, definition.name, url);
    console.log(`queue      ${definition.name}  ${url}`);
  }
}
