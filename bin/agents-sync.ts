// npm run agents:sync -- FOLDER: the definitions of a folder into the registry, all or none. Unchanged files write nothing.
import { system } from "../lib/access/actor.ts";
import { ConfigError } from "../lib/errors.ts";
import { syncFolder } from "../lib/registry/sync.ts";
import { findWithoutQueue, setQueue } from "../lib/registry/versions.ts";
import { queueSettings } from "../lib/runtime/aws/queue-settings.ts";
import { type Queues, sqsQueues } from "../lib/runtime/aws/queues.ts";
import { sqsClient } from "../lib/runtime/aws/sqs.ts";
import { readSettings } from "../lib/runtime/settings.ts";
import { command, Failed, WrongUse } from "../lib/terminal/command.ts";
import { queueFor } from "../lib/wiring/agent-queues.ts";
import type { ControlPlane } from "../lib/wiring/control-plane.ts";
import { runningOver } from "../localstack/parts/data-dir.ts";
import { environmentHere, onDatabase } from "./database.ts";

const AGENTS_SYNC = system("agents-sync");
const usage = `Usage: npm run agents:sync -- FOLDER

Stores every definition of FOLDER (*.yaml, *.yml, *.json) in the registry. A file that is as it was writes nothing; where one has a
fault nothing of any is stored. What the files say holds: an older version takes the place of a newer one, and an agent that was
deactivated is active again. Agents of which there is no file stay as they are. On the local stack, or with AGENT_QUEUE_CREATE=true, the
queues that are missing are made. Environment: DATABASE_URL.`;

process.exitCode = await command({
  usage,
  positionals: true,
  run: async ({ positionals: [folder, ...more] }) => {
    if (folder === undefined || more.length > 0) throw new WrongUse("Name one folder.");
    const env = environment();
    const run = async (plane: ControlPlane) => await makeQueues(plane, await sync(plane, folder), namedIn(env));
    await onDatabase(run, { source: env, queues: queuesOf(env) });
  },
});

/** Whoever uses the stack that runs here may make queues in it. */
function environment(): NodeJS.ProcessEnv {
  const ownStack = !process.env["DATABASE_URL"] && runningOver(".waybill") !== undefined;
  return { ...environmentHere(), ...(ownStack ? { AGENT_QUEUE_CREATE: "true" } : {}) };
}

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

/** The agents whose queue the environment names. */
function namedIn(env: NodeJS.ProcessEnv): string[] {
  const named = { agents: { ...queueSettings.agents, schema: queueSettings.agents.schema.prefault("{}") } };
  return Object.keys(readSettings(named, env).agents);
}

/** The queues that this environment names, which is not this process's where the stack that runs here has its own. */
function queuesOf(env: NodeJS.ProcessEnv): Queues {
  const { AWS_ENDPOINT_URL_SQS: endpoint, AWS_REGION: region, AWS_SESSION_TOKEN: sessionToken } = env;
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  const credentials = accessKeyId &&
    secretAccessKey && { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
  return sqsQueues(
    sqsClient({ ...(endpoint && { endpoint }), ...(region && { region }), ...(credentials && { credentials }) }),
  );
}

/** Only where queues are ours to make; elsewhere it is told which are missing. */
async function makeQueues(plane: ControlPlane, names: string[], named: string[]): Promise<void> {
  const { db, settings } = plane;
  const missing = (await findWithoutQueue(db, names)).filter(({ name }) => !named.includes(name));
  if (!settings.agentQueues.create) {
    for (const { name } of missing) {
      console.log(`no queue   ${name}  gets no work before it has one: PUT /agents/${name} finds or makes it`);
    }
    return;
  }
  for (const definition of missing) {
    const url = await queueFor(plane, definition);
    if (url === null) continue;
    await setQueue(db, AGENTS_SYNC, definition.name, url);
    console.log(`queue      ${definition.name}  ${url}`);
  }
}
