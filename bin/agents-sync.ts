// npm run agents:sync -- FOLDER: the definitions of a folder into the registry, all or none. Unchanged files write nothing.
import { DEFAULT_TEAM, system } from "../lib/access/actor.ts";
import { ConfigError } from "../lib/errors.ts";
import { syncFolder } from "../lib/registry/sync.ts";
import { findWithoutQueue, setQueue } from "../lib/registry/versions.ts";
import { agentQueueSettings, queueSettings } from "../lib/runtime/aws/queue-settings.ts";
import { type Queues, sqsQueues } from "../lib/runtime/aws/queues.ts";
import { sqsClient } from "../lib/runtime/aws/sqs.ts";
import { readSettings } from "../lib/runtime/settings.ts";
import { command, Failed, WrongUse } from "../lib/terminal/command.ts";
import { queueFor } from "../lib/wiring/agent-queues.ts";
import type { ControlPlane } from "../lib/wiring/control-plane.ts";
import type { Running } from "../localstack/parts/data-dir.ts";
import { announce, findTarget, onDatabase, STACK_USAGE, stackOption } from "./database.ts";

const AGENTS_SYNC = system("agents-sync", DEFAULT_TEAM);
/** What it is told of queues; none needs to be named. */
const settings = {
  ...agentQueueSettings,
  agents: { ...queueSettings.agents, schema: queueSettings.agents.schema.prefault("{}") },
};
const usage = `Usage: npm run agents:sync -- FOLDER [--data DIR]

Stores every definition of FOLDER (*.yaml, *.yml, *.json) in the registry. A file that is as it was writes nothing; where one has a
fault nothing of any is stored. What the files say holds: an older version takes the place of a newer one, and an agent that was
deactivated is active again. Agents of which there is no file stay as they are. On the local stack, or with AGENT_QUEUE_CREATE=true, the
queues that are missing are made.
${STACK_USAGE}`;

process.exitCode = await command({
  usage,
  options: stackOption,
  positionals: true,
  run: async ({ values, positionals: [folder, ...more] }) => {
    if (folder === undefined || more.length > 0) throw new WrongUse("Name one folder.");
    const target = findTarget(values.data);
    const { stack } = target;
    // Whoever uses a stack that runs here may make queues in it.
    const source = { ...target.source, ...(stack && { AGENT_QUEUE_CREATE: "true" }) };
    // Read as a whole before anything is stored.
    const named = Object.keys(readSettings(settings, source).agents);
    announce(target);
    const run = async (plane: ControlPlane) => await makeQueues(plane, await sync(plane, folder), named);
    await onDatabase(run, target, { source, queues: queuesOf(stack) });
  },
});

/** Stores the definitions of a folder and prints what became of each; answers the agents' names. Throws where nothing was stored. */
async function sync({ db, stamp }: ControlPlane, folder: string): Promise<string[]> {
  const outcome = await syncFolder(db, AGENTS_SYNC, folder, { gentle: false, newId: stamp.newId }).catch(
    (error: unknown) => {
      // Of the errors of the system only those of files are about the folder; the database has its own words.
      if ((error as NodeJS.ErrnoException).path === undefined) throw error;
      throw new ConfigError(`${folder} cannot be read: ${(error as Error).message}`);
    },
  );
  if (!outcome.ok) {
    const count = outcome.faults.length === 1 ? "1 fault" : `${outcome.faults.length} faults`;
    throw new Failed(`${outcome.faults.join("\n")}\n${count}; nothing was stored. See docs/registry.md.`);
  }
  for (const { name, version, file, outcome: done } of outcome.synced) {
    console.log(`${done.padEnd(9)}  ${name} ${version}  ${file}`);
  }
  return outcome.synced.map(({ name }) => name);
}

/** The queues of the stack that runs here, where it has an SQS of its own; else those that this process's environment names. */
function queuesOf(stack: Running | undefined): Queues {
  const {
    AWS_ENDPOINT_URL_SQS: endpoint,
    AWS_REGION: region = "",
    AWS_ACCESS_KEY_ID: accessKeyId = "",
    AWS_SECRET_ACCESS_KEY: secretAccessKey = "",
  } = stack?.environment ?? {};
  if (endpoint === undefined) return sqsQueues();
  return sqsQueues(sqsClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } }));
}

/** Only where queues are ours to make; elsewhere it is told which are missing. */
async function makeQueues(plane: ControlPlane, names: string[], named: string[]): Promise<void> {
  const { db } = plane;
  const missing = (await findWithoutQueue(db, DEFAULT_TEAM, names)).filter(({ name }) => !named.includes(name));
  if (!plane.settings.agentQueues.create) {
    for (const { name } of missing) {
      console.log(`no queue   ${name}  gets no work before it has one: PUT /agents/${name} finds or makes it`);
    }
    return;
  }
  for (const definition of missing) {
    const url = await queueFor(plane, DEFAULT_TEAM, definition);
    if (url === null) continue;
    await setQueue(db, AGENTS_SYNC, definition.name, url);
    console.log(`queue      ${definition.name}  ${url}`);
  }
}
