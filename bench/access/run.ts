import { randomUUID } from "node:crypto";
import { type Caller, DEFAULT_TEAM, system } from "../../lib/access/actor.ts";
import { authenticator } from "../../lib/access/identity/authenticate.ts";
import { cachedFor } from "../../lib/access/identity/cached.ts";
import { identitySettings } from "../../lib/access/identity/settings.ts";
import { createKey } from "../../lib/access/keys/keys.ts";
import { newKey, newPrefix } from "../../lib/access/keys/secret.ts";
import { putKey } from "../../lib/access/operator/put-key.ts";
import { type Sign, signingKeyOf, signWith } from "../../lib/protocol/signature.ts";
import { connect, type Pool } from "../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { command, wholeOption } from "../../lib/terminal/command.ts";
import { lineOf } from "../../lib/terminal/table.ts";
import { median, throughput } from "../measure.ts";
import { emptyTables, startBenchDatabase } from "../postgres.ts";
import { benchWorld, type Known } from "../work.ts";

const usage = `Usage: npm run bench:access -- [--seconds N] [--rounds N]

What access costs: submit and the whole life of work for a caller, whose key is looked up and whose transaction sees its team alone, done
by an agent that signs, beside the same for the system, which sees all, and an agent that is believed, in turn on one Postgres (7 rounds
of 2 s each). Then what it takes to find out who calls by a key.`;

process.exitCode = await command({
  usage,
  options: { seconds: { type: "string", default: "2" }, rounds: { type: "string", default: "7" } },
  run: async ({ values }) => {
    const database = await startBenchDatabase();
    const pool = connect({ ...process.env, DATABASE_URL: database.url, DATABASE_POOL_MAX: "1" });
    try {
      const { caller, key } = await makeCaller(pool);
      const agent = await makeAgent(pool);
      const [seconds, rounds] = [wholeOption("seconds", values.seconds, 1), wholeOption("rounds", values.rounds, 1)];
      await measureWork(database.url, { caller, agent }, seconds, rounds);
      await measureKeys(pool, key, seconds);
    } finally {
      await pool.end();
      await database.stop();
    }
  },
});

/** A service of the default team, with its key. */
async function makeCaller(db: Pool): Promise<{ caller: Caller; key: string }> {
  const keyId = randomUUID();
  const wish = { name: "bench", kind: "service", role: "member", scopes: null, expires_at: null } as const;
  const limits = { requests_per_second: null, bytes_per_day: null };
  const { key } = await createKey(db, system("bench", DEFAULT_TEAM), {
    ...wish,
    ...limits,
    keyId,
    user: undefined,
    agent: undefined,
  });
  const name = "key:bench";
  const caller: Caller = {
    kind: "service",
    id: keyId,
    name,
    team: DEFAULT_TEAM,
    role: "member",
    scopes: null,
    keyId,
    agent: null,
  };
  return { caller, key };
}

/** The agent `code` of the default team, as it signs. */
async function makeAgent(pool: Pool): Promise<Sign> {
  const keyId = newPrefix();
  const key = newKey(keyId);
  const holder = { team: DEFAULT_TEAM, name: "bench-agent", agent: "code" };
  await pool.begin(async (db) => await putKey(db, system("bench"), { key, keyId: randomUUID() }, holder));
  return signWith(signingKeyOf(key), keyId);
}

/** Prints work a second without and with access, and the ratio of both in each round. */
async function measureWork(url: string, known: Known, seconds: number, rounds: number): Promise<void> {
  const line = lineOf(-28, 10, 10, 8);
  console.log(line("work a second", "without", "with", "ratio"));
  for (const clients of [1, 8]) {
    const without = Array.from({ length: clients }, () => benchWorld(url, 100));
    const within = Array.from({ length: clients }, () => benchWorld(url, 100, known));
    const sides = [without, within] as const;
    const once = { submit: async (world: World) => await world.submit(), lifecycle: whole };
    for (const [name, run] of Object.entries(once)) {
      const found: [number[], number[]] = [[], []];
      for (let round = 0; round < rounds; round++) {
        // Who begins changes, so that neither has the fuller tables.
        for (const side of round % 2 === 0 ? [0, 1] : [1, 0]) {
          await emptyTables(url);
          found[side as 0 | 1].push(await perSecond(sides[side as 0 | 1], seconds, run));
        }
      }
      const ratio = median(found[0].map((own, round) => (found[1][round] ?? Number.NaN) / own));
      console.log(
        line(`${name}, ${clients} at once`, median(found[0]).toFixed(0), median(found[1]).toFixed(0), ratio.toFixed(2)),
      );
    }
    await Promise.all([...without, ...within].map(({ pool }) => pool.end()));
  }
}

type World = ReturnType<typeof benchWorld>;

/** Submits one and has it done. */
async function whole(world: World): Promise<void> {
  await world.submit();
  await world.live();
}

async function perSecond(worlds: World[], seconds: number, run: (world: World) => Promise<void>): Promise<number> {
  const free = [...worlds];
  const once = async () => {
    const world = free.pop();
    if (world === undefined) throw new Error("There are as many worlds as loops.");
    await run(world);
    free.push(world);
  };
  return (await throughput(worlds.length, seconds, once)).perSecond;
}

/** Prints how long it takes to find out who calls: asked of the database, and remembered. */
async function measureKeys(db: Pool, key: string, seconds: number): Promise<void> {
  const authenticate = authenticator(db, readSettings(identitySettings, {}));
  const remembered = cachedFor(60_000, authenticate);
  const headers = { authorization: `Bearer ${key}` };
  const started = performance.now();
  await authenticate(headers);
  console.log(`\nwho calls, the first time: ${(performance.now() - started).toFixed(2)} ms`);
  for (const [name, run] of Object.entries({ "asked of the database": authenticate, remembered })) {
    const { p50, p99 } = await throughput(1, seconds, async () => void (await run(headers)));
    console.log(`who calls, ${name}: p50 ${p50.toFixed(3)} ms, p99 ${p99.toFixed(3)} ms`);
  }
}
