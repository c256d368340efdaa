// npm run migrate: brings the database to where the migrations of MIGRATIONS_DIR say, or tells where it is.
import { type Changed, type Migrated, parseCommand, type Status } from "../lib/migrations/command.ts";
import { migrate } from "../lib/migrations/migrator.ts";
import type { Synced } from "../lib/registry/sync.ts";
import { asArgument, command, WrongUse, wholeOption } from "../lib/terminal/command.ts";
import { align } from "../lib/terminal/table.ts";
import { prepareDatabase } from "../lib/wiring/database.ts";
import { announce, confirmLoss, findTarget, inWords, STACK_USAGE, stackOption, type Target } from "./database.ts";

const usage = `Usage: npm run migrate -- [command] [--to TARGET] [--step N] [--yes] [--data DIR]

  up       apply what is pending (the default); --to the last to apply, --step how many. Stores the agents that ship
  down     take back; --to the last that stays, or 0 for none; or --step how many
  redo     take back and apply again; --to and --step as for down
  status   what is applied and what is pending
  sql      print the SQL, without a database; --direction up|down; --to 0002 --step 1 prints that one alone

TARGET is a migration's name or number: 0002_execution, 0002 or 2. down and redo take tables and columns away with all that is in
them: they ask, or are told --yes.
${STACK_USAGE} DATABASE_URL names the database itself, not a
pooler. Environment: MIGRATIONS_DIR (./migrations).`;

process.exitCode = await command({
  usage,
  options: {
    to: { type: "string" },
    step: { type: "string" },
    direction: { type: "string" },
    yes: { type: "boolean", default: false },
    ...stackOption,
  },
  positionals: true,
  run: async ({ values: { to, step, direction, yes, data }, positionals: [name = "up", ...more] }) => {
    if (more.length > 0) throw new WrongUse(`One command at a time, not also ${more.join(" ")}.`);
    const steps = step === undefined ? {} : { step: wholeOption("step", step, 1) };
    const asked = asArgument(() => parseCommand({ command: name, to, direction, ...steps }));
    if ((name === "down" || name === "redo") && to === undefined && step === undefined) {
      throw new WrongUse(`${name} wants --to TARGET, the last migration that stays, or --step N.`);
    }
    if (asked.command === "sql") return await run(asked, process.env);
    const target = findTarget(data);
    await prepare(asked.command, target, yes);
    return await run(asked, target.source).catch((error: unknown) => {
      throw inWords(error);
    });
  },
});

/** Says what is about to be changed, and asks where that loses something. */
async function prepare(name: string, target: Target, sure: boolean): Promise<void> {
  if (name !== "status") announce(target);
  if (sure || (name !== "down" && name !== "redo")) return;
  await confirmLoss(target, `${name} takes tables and columns away with all that is in them.`);
}

async function run(asked: ReturnType<typeof parseCommand>, source: NodeJS.ProcessEnv): Promise<number> {
  const migrated = await migrate(asked, source);
  console.log(tell(migrated));
  if (migrated.command === "up") tellAgents(await prepareDatabase(source));
  return migrated.command === "status" && migrated.faults.length > 0 ? 1 : 0;
}

function tell(migrated: Migrated): string {
  if (migrated.command === "sql") return migrated.sql.trimEnd();
  return [
    ...(migrated.command === "status" ? tellStatus(migrated) : tellChange(migrated)),
    tellStanding(migrated),
  ].join("\n");
}

function tellStatus({ applied, pending, faults }: Status): string[] {
  return [
    ...align([
      ...applied.map(({ name, applied_at, duration_ms }) => ["applied", name, applied_at, `${duration_ms} ms`]),
      ...pending.map((name) => ["pending", name]),
    ]),
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
