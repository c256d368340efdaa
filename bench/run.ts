import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { command, wholeOption } from "../lib/terminal/command.ts";
import { lineOf } from "../lib/terminal/table.ts";
import { freePort } from "../localstack/parts/ports.ts";
import { startStack } from "../localstack/stack.ts";
import { measureLatency } from "./latency.ts";
import { median, throughput } from "./measure.ts";
import { measureMemory } from "./memory.ts";
import { emptyTables, findPgbench, pgbench, startBenchDatabase } from "./postgres.ts";
import { benchWorld } from "./work.ts";

const usage = `Usage: npm run bench -- [--seconds N] [--rounds N]

What the product does a second, beside pgbench doing the same writes on the same Postgres in turn (3 rounds of 4 s each); then how long
work takes over the local stack, and the memory of each function.`;

process.exitCode = await command({
  usage,
  options: { seconds: { type: "string", default: "4" }, rounds: { type: "string", default: "3" } },
  run: async ({ values }) => {
    // Whole, because pgbench takes no others.
    const seconds = wholeOption("seconds", values.seconds, 1);
    await measureDatabase(seconds, wholeOption("rounds", values.rounds, 1));
    await measureStack();
  },
});

type World = ReturnType<typeof benchWorld>;
type Row = { name: string; ours: () => Promise<number>; theirs: (program: string) => number };

/** Prints each row once its rounds are over. */
async function measureDatabase(seconds: number, rounds: number): Promise<void> {
  const database = await startBenchDatabase();
  const pg = findPgbench();
  const worlds = Array.from({ length: 16 }, () => benchWorld(database.url, 100));
  try {
    console.log(`${cpus()[0]?.model ?? "unknown processor"}, ${availableParallelism()} cores; Node ${process.version}`);
    console.log(`Embedded Postgres, fsync on; ${rounds} rounds of ${seconds} s, ours and pgbench in turn; medians.\n`);
    if (pg === undefined)
      console.log("pgbench is not on this machine (install PostgreSQL's client programs): no comparison.\n");
    const line = lineOf(-36, 10, 10, 8);
    console.log(line("work a second", "ours", "pgbench", "ratio"));
    for (const row of rowsOf(database.url, worlds, seconds)) {
      const { ours, theirs } = await inTurn(row, database.url, pg, rounds);
      const ratio = median(ours.map((own, round) => own / (theirs[round] ?? Number.NaN)));
      const cells = [median(ours).toFixed(0), pg === undefined ? "-" : median(theirs).toFixed(0)];
      console.log(line(row.name, ...cells, ratio.toFixed(2)));
    }
  } finally {
    await Promise.all(worlds.map(({ pool }) => pool.end()));
    await database.stop();
  }
}

/** What each round came to, a second; nothing of pgbench where it is not there. */
async function inTurn(row: Row, url: string, pg: string | undefined, rounds: number) {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await emptyTables(url);
    ours.push(await row.ours());
    await emptyTables(url);
    if (pg !== undefined) theirs.push(row.theirs(pg));
  }
  return { ours, theirs };
}

function rowsOf(url: string, worlds: World[], seconds: number): Row[] {
  const oneByOne = async (once: (world: World) => Promise<void>) =>
    (await throughput(1, seconds, perConnection(worlds, once))).perSecond;
  const submitAt = (clients: number): Row => ({
    name: `submit, ${clients} at once`,
    ours: async () => {
      const once = perConnection(worlds, (world) => world.submit());
      return (await throughput(clients, seconds, once)).perSecond;
    },
    theirs: (program) => pgbench(program, url, "submit.sql", { clients, seconds }),
  });
  return [
    submitAt(1),
    submitAt(8),
    submitAt(16),
    {
      name: "submit to result, one by one",
      ours: () =>
        oneByOne(async (world) => {
          await world.submit();
          await world.live();
        }),
      theirs: (program) => pgbench(program, url, "lifecycle.sql", { clients: 1, seconds, batch: 1 }),
    },
  ];
}

/** Each loop has a connection of its own, as each Lambda has. */
function perConnection(worlds: World[], run: (world: World) => Promise<void>): () => Promise<void> {
  let turn = 0;
  const free: World[] = [];
  return async () => {
    const world = free.pop() ?? worlds[turn++ % worlds.length];
    if (world === undefined) throw new Error("no connection");
    await run(world);
    free.push(world);
  };
}

async function measureStack(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-bench-"));
  const stack = await startStack({ port: await freePort(), dataDir, agents: true });
  try {
    console.log();
    await measureLatency(stack);
    console.log();
    await measureMemory(stack);
  } finally {
    await stack.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}
