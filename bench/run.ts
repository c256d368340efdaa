import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { freePort } from "../localstack/parts/ports.ts";
import { startStack } from "../localstack/stack.ts";
import { measureLatency } from "./latency.ts";
import { median, throughput } from "./measure.ts";
import { measureMemory } from "./memory.ts";
import { emptyTables, findPgbench, pgbench, startBenchDatabase } from "./postgres.ts";
import { benchWorld, bulkSubmit } from "./work.ts";

/** `npm run bench`: what the product does a second, beside pgbench doing the same writes on the same Postgres in turn. */
const { values } = parseArgs({
  options: { seconds: { type: "string", default: "4" }, rounds: { type: "string", default: "3" } },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
if (!(seconds > 0) || !(rounds > 0)) throw new Error("Usage: npm run bench -- [--seconds N] [--rounds N]");

type Row = { name: string; ours: () => Promise<number>; theirs: (program: string) => number };

const database = await startBenchDatabase();
const pg = findPgbench();
const worlds = Array.from({ length: 16 }, () => benchWorld(database.url, 100));
const [first] = worlds;
if (first === undefined) throw new Error("no connection");

/** Each loop has a connection of its own, as each Lambda has. */
function perConnection(run: (world: typeof first & object) => Promise<void>): () => Promise<void> {
  let turn = 0;
  const free: (typeof first & object)[] = [];
  return async () => {
    const world = free.pop() ?? worlds[turn++ % worlds.length] ?? first;
    if (world === undefined) throw new Error("no connection");
    await run(world);
    free.push(world);
  };
}

const submitAt = (clients: number): Row => ({
  name: `submit, ${clients} at once`,
  ours: async () =>
    (
      await throughput(
        clients,
        seconds,
        perConnection((world) => world.submit()),
      )
    ).perSecond,
  theirs: (program) => pgbench(program, database.url, "submit.sql", { clients, seconds }),
});

const rows: Row[] = [
  submitAt(1),
  submitAt(8),
  submitAt(16),
  {
    name: "submit to result, one by one",
    ours: async () => {
      const once = perConnection(async (world) => {
        await world.submit();
        await world.live();
      });
      return (await throughput(1, seconds, once)).perSecond;
    },
    theirs: (program) => pgbench(program, database.url, "lifecycle.sql", { clients: 1, seconds, batch: 1 }),
  },
  {
    name: "submit to result, batches of 100",
    ours: async () => {
      const once = perConnection(async (world) => {
        await bulkSubmit(world.pool, 100);
        await world.live();
      });
      return 100 * (await throughput(1, seconds, once)).perSecond;
    },
    theirs: (program) => 100 * pgbench(program, database.url, "lifecycle.sql", { clients: 1, seconds, batch: 100 }),
  },
];

try {
  console.log(`${cpus()[0]?.model ?? "unknown processor"}, ${availableParallelism()} cores; Node ${process.version}`);
  console.log(`Embedded Postgres, fsync on; ${rounds} rounds of ${seconds} s, ours and pgbench in turn; medians.\n`);
  if (pg === undefined)
    console.log("pgbench is not on this machine (install PostgreSQL's client programs): no comparison.\n");
  console.log(`${"work a second".padEnd(36)}${"ours".padStart(10)}${"pgbench".padStart(10)}${"ratio".padStart(8)}`);
  for (const row of rows) {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await emptyTables(database.url);
      ours.push(await row.ours());
      await emptyTables(database.url);
      if (pg !== undefined) theirs.push(row.theirs(pg));
    }
    const ratio = median(ours.map((own, round) => own / (theirs[round] ?? Number.NaN)));
    const cells = [median(ours).toFixed(0), pg === undefined ? "-" : median(theirs).toFixed(0)];
    console.log(
      `${row.name.padEnd(36)}${cells.map((cell) => cell.padStart(10)).join("")}${ratio.toFixed(2).padStart(8)}`,
    );
  }
} finally {
  await Promise.all(worlds.map(({ pool }) => pool.end()));
  await database.stop();
}

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
