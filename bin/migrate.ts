import { parseArgs } from "node:util";
import postgres from "postgres";
import { CallerError, ConfigError, MigrationFault, Unavailable } from "../lib/errors.ts";
import { type Changed, type Migrated, parseCommand, type Status } from "../lib/migrations/command.ts";
import { migrate } from "../lib/migrations/migrator.ts";
import type { Synced } from "../lib/registry/sync.ts";
import { prepareDatabase } from "../lib/wiring/database.ts";

const USAGE = `Usage: npm run migrate -- [command] [--to TARGET] [--step N]

  up       apply what is pending (the default); --to the last to apply, --step how many. Stores the agents that ship
  down     take back the last one; --to the last that stays, or 0 for none; --step how many
  redo     take back the last one and apply it again; --to and --step as for down
  status   what is applied and what is pending
  sql      print the SQL, without a database; --direction up|down; --to 0002 --step 1 prints that one alone

TARGET is a migration's name or number: 0002_execution, 0002 or 2.
Environment: DATABASE_URL (the database itself, not a pooler), MIGRATIONS_DIR (./migrations).`;

const EXPECTED = [CallerError, ConfigError, MigrationFault, Unavailable, postgres.PostgresError];

process.exitCode = await main();

async function main(): Promise<number> {
  try {
    const { values, positionals } = readArguments();
    if (values.help) {
      console.log(USAGE);
      return 0;
    }
    const { to, step, direction } = values;
    const [command = "up", ...rest] = positionals;
    if (rest.length > 0)
      throw new CallerError(400, "invalid_input", `One command at a time, not also ${rest.join(" ")}.`);
    const event = { command, to, direction, ...(step === undefined ? {} : { step: Number(step) }) };
    const migrated = await migrate(parseCommand(event));
    console.log(tell(migrated));
    if (migrated.command === "up") tellAgents(await prepareDatabase());
    return migrated.command === "status" && migrated.faults.length > 0 ? 1 : 0;
  } catch (error) {
    if (!EXPECTED.some((kind) => error instanceof kind)) throw error;
    console.error((error as Error).message);
    return 1;
  }
}

function readArguments() {
  const options = {
    to: { type: "string" },
    step: { type: "string" },
    direction: { type: "string" },
    help: { type: "boolean", short: "h" },
  } as const;
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (cause) {
    throw new CallerError(400, "invalid_input", `${(cause as Error).message}\n\n${USAGE}`, { cause });
  }
}

function tell(migrated: Migrated): string {
  if (migrated.command === "sql") return migrated.sql.trimEnd();
  return [
    ...(migrated.command === "status" ? tellStatus(migrated) : tellChange(migrated)),
    tellStanding(migrated),
  ].join("\n");
}

function tellStatus({ applied, pending, faults }: Status): string[] {
  const width = Math.max(...[...applied.map(({ name }) => name), ...pending].map((name) => name.length));
  return [
    ...applied.map(({ name, applied_at, duration_ms }) => {
      return `applied  ${name.padEnd(width)}  ${applied_at}  ${duration_ms} ms`;
    }),
    ...pending.map((name) => `pending  ${name}`),
    ...faults.map((fault) => `fault    ${fault}`),
  ];
}

function tellChange({ reverted, applied }: Changed): string[] {
  const lines = [...reverted.map((name) => `reverted ${name}`), ...applied.map((name) => `applied  ${name}`)];
  return lines.length > 0 ? lines : ["Nothing to do."];
}

function tellStanding({ current, pending }: Changed | Status): string {
  return `The database is at ${current ?? "nothing"}; ${pending.length} pending.`;
}

function tellAgents(synced: Synced[]): void {
  for (const { outcome, name, version } of synced) {
    if (outcome === "created" || outcome === "changed") console.log(`${outcome}  agent ${name} ${version}`);
  }
}
