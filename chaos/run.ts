import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "./faults/fault.ts";
import { forging } from "./forge.ts";
import { type ClientCall, type Effect, FINAL, type History, type Piece, type Violation } from "./history/history.ts";
import { readJournal } from "./history/journal.ts";
import { violationsIn } from "./invariants/all.ts";
import { type Client, type LoadOptions, USUAL } from "./load/client.ts";
import { type Dice, diceOf } from "./load/dice.ts";
import type { Edit } from "./planted/edits.ts";
import { countConnections, countWaiting, readLetters, readOutputs, readRows } from "./truth.ts";
import { startWorld, type World, type WorldOptions } from "./world/world.ts";

/** One run: some faults, by one seed. */
export type RunOptions = Pick<WorldOptions, "dir" | "template" | "root" | "old"> & {
  /** As it is named in the table. */
  name: string;
  faults: readonly Fault[];
  seed: number;
  edits: readonly Edit[];
  /** How many times the usual patience a slow machine may have. */
  slowest?: number | undefined;
  /** Overrules how long the faults last, in milliseconds. */
  lasts?: number | undefined;
};

export type RunResult = { violations: Violation[]; recoveredMs: number | undefined; done: number; history: History };

/**
 * What everything may take from the end of a fault on, beside the longest work of its load done twice; a machine that is slow has more,
 * by what its first work took.
 */
const RECOVERY_MS = 60_000;
const USUAL_FIRST_MS = 4_000;
const SLOWEST = 3;

/** Load before the first fault and after the last, in milliseconds. */
const BEFORE_MS = 1_500;
const AFTER_MS = 1_500;

/** Starts a world, puts load on it, breaks it, lets it recover, and judges what happened. Its folder has the journals afterwards. */
export async function runOnce(options: RunOptions): Promise<RunResult> {
  const { dir, name, seed, faults } = options;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  const dice = diceOf(`${name} ${seed}`);
  const broker = faults.some((fault) => fault.broker === true);
  return await inWorld(await startWorld({ ...options, broker }), dice, options);
}

async function inWorld(world: World, dice: Dice, options: RunOptions): Promise<RunResult> {
  const { dir, name, seed } = options;
  try {
    const history = await live(world, dice, options);
    const violations = violationsIn(history);
    writeFileSync(join(dir, "history.json"), JSON.stringify({ name, seed, violations, ...history }, null, 1));
    const { settledAt, clearedAt } = history;
    const recoveredMs = settledAt === undefined ? undefined : Math.max(0, settledAt - clearedAt);
    const done = history.tasks.filter(({ status }) => status === "completed").length;
    return { violations, recoveredMs, done, history };
  } finally {
    await world.stop();
    for (const part of ["postgres", "sqs", "agents"]) rmSync(join(dir, part), { recursive: true, force: true });
  }
}

async function live(world: World, dice: Dice, options: RunOptions): Promise<History> {
  const { client } = world;
  const firstMs = await warmUp(world, client, dice.of("warm up"));
  const slowness = Math.min(options.slowest ?? SLOWEST, Math.max(1, firstMs / USUAL_FIRST_MS));
  const loading = new AbortController();
  const load: LoadOptions = Object.assign({}, USUAL, ...options.faults.map((fault) => fault.load));
  // What is done at the end of the fault may fail once, and is then done again.
  const recoveryMs = RECOVERY_MS * slowness + 2 * load.ms[1];
  client.submitUntil(loading.signal, dice.of("load"), load);
  const stopForging = forging(world, dice.of("forger"));
  await sleep(BEFORE_MS);
  await breakIt(world, dice, options);
  const clearedAt = Date.now();
  await sleep(AFTER_MS);
  loading.abort();
  const settledAt = await settled(world, client, clearedAt + recoveryMs);
  // As long as anything is under way, for a machine may be so slow that nothing was before.
  await stopForging();
  const probedAt = await probe(world, client, dice.of("probe"));
  await client.finish();
  const lockedMs = Math.max(0, ...options.faults.map((fault) => fault.lockedMs ?? 0));
  return await collect(world, client, { clearedAt, lockedMs, recoveryMs, settledAt, probedAt });
}

/** Injects the faults, each at a moment of its own, and answers when all are over. */
async function breakIt(world: World, dice: Dice, { faults, lasts }: RunOptions): Promise<void> {
  const spread = faults.length > 1 ? 3_000 : 0;
  await Promise.all(
    faults.map(async (fault) => {
      const own = dice.of(fault.id);
      await sleep(own.whole(0, spread));
      const clear = await fault.inject(world, own);
      await sleep(lasts ?? fault.lasts);
      await clear();
    }),
  );
}

/** One piece of work from end to end, so that every process is up before the load comes. Answers the milliseconds that it took. */
async function warmUp(world: World, client: Client, dice: Dice): Promise<number> {
  const began = performance.now();
  const pieces = ["mason", "clerk"].map((agent) => probePiece(dice.uuid(), agent));
  await Promise.all(pieces.map(async (piece) => await client.submit(piece)));
  if ((await settled(world, client, Date.now() + RECOVERY_MS)) === undefined) {
    throw new Error(`The stack does no work even before anything is broken. Its logs: ${join(world.dir, "logs")}`);
  }
  return performance.now() - began;
}

function probePiece(key: string, agent: string): Piece {
  const plan = { ms: 50, steps: 1, lines: 1, fail: 0, fatal: false, hang: false };
  return { key, agent, plan, maxAttempts: 3, approval: "auto", lane: "probe" };
}

/** When all that was promised so far is final; undefined where that is not by `until`. */
async function settled(world: World, client: Client, until: number): Promise<number | undefined> {
  for (;;) {
    const finished = await Promise.race([client.finish().then(() => true), sleep(250).then(() => false)]);
    const ids = [...client.promised.values()];
    const { sql } = world.database;
    try {
      const [row] = await sql<{ open: number }[]>`
        select count(*)::int as open from tasks
        where task_id = any(string_to_array(${ids.join()}, ',')::uuid[])
          and status::text <> all(string_to_array(${[...FINAL].join()}, ','))
      `;
      if (finished && row?.open === 0) return Date.now();
    } catch (error) {
      console.error(error);
    }
    if (Date.now() > until) return undefined;
    await sleep(200);
  }
}

/** Whether the system does new work; when it was done. */
async function probe(world: World, client: Client, dice: Dice): Promise<number | undefined> {
  const piece = probePiece(dice.uuid(), "mason");
  const taskId = await client.submit(piece);
  if (taskId === undefined) return undefined;
  for (let tries = 0; tries < 100; tries++) {
    const [row] = await world.database.sql`select status::text as status from tasks where task_id = ${taskId}`;
    if (row?.["status"] === "completed") return Date.now();
    await sleep(200);
  }
  return undefined;
}

type Times = Pick<History, "clearedAt" | "lockedMs" | "recoveryMs" | "settledAt" | "probedAt">;

/** The longest that is waited until the queues are empty: output may come after its result, and poison leaves by many deliveries. */
const LATE_MS = 20_000;
/** From an empty queue to the end of the call that emptied it. */
const LAST_CALL_MS = 1_500;

async function collect(world: World, client: Client, times: Times): Promise<History> {
  for (const until = Date.now() + LATE_MS; Date.now() < until && (await countWaiting(world)) > 0; ) await sleep(300);
  await sleep(LAST_CALL_MS);
  const rows = await readRows(world);
  const completed = rows.tasks.filter(({ status }) => status === "completed").map(({ taskId }) => taskId);
  return {
    ...rows,
    ...world.noted,
    ...times,
    outputs: await readOutputs(world, completed),
    letters: await readLetters(world),
    connections: await countConnections(world),
    calls: readJournal<ClientCall>(join(world.dir, "calls.jsonl")),
    effects: readJournal<Effect>(join(world.dir, "effects.jsonl")),
    pieces: client.pieces,
  };
}
