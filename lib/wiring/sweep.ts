import { type Actor, system } from "../access/actor.ts";
import { chainAudit } from "../access/audit/chain.ts";
import { Unavailable } from "../errors.ts";
import { hasLedger } from "../migrations/ledger.ts";
import { keepPartitions } from "../router/series.ts";
import type { Log } from "../runtime/log.ts";
import { isConnectionSpent } from "../runtime/postgres/db-errors.ts";
import { withConnections } from "../runtime/postgres/pool.ts";
import type { Spoilt } from "../work/core/spoilt.ts";
import { toWire } from "../work/core/wire.ts";
import { endLostRequests } from "../work/dispatch/lost.ts";
import { expireLeases, sendLeftovers } from "../work/dispatch/sweep.ts";
import { routeUndecided } from "../work/submission/undecided.ts";
import type { ControlPlane } from "./control-plane.ts";
import { nobodyHas } from "./lost-requests.ts";
import { measure } from "./measure.ts";
import { router } from "./router.ts";
import { sealOf } from "./sealing.ts";
import { warningsOf } from "./warnings.ts";
import { startReady } from "./work.ts";

/** How long it looks for agents for work that has none, and sends what was left: the next sweep goes on with the rest. */
const ROUTING_MS = 15_000;
const LEFTOVERS_MS = 10_000;
const CHAIN_MS = 5_000;

const SWEEP = system("sweep");

/** How many attempts expired, were asked for again, leftovers were sent, pieces of work found an agent, attempts started. */
export type Swept = { expired: number; again: number; sent: number; decided: number; started: number };

/**
 * Ends leases that ran out, has requests that were lost asked for again, sends what a crash left in the outbox, starts work whose
 * time has come, finds agents for work that waits for one, tells how the work stands, and keeps the time series in months. Answers how
 * many of each; run again when the database connection is lost in the middle. Throws Unavailable where it is not done in `ms` milliseconds,
 * and, when all the others are done, what steps have thrown.
 */
export async function sweep(plane: ControlPlane, actor: Actor, ms?: number): Promise<Swept> {
  return await withConnections(true, async () => await round(plane, actor), ms);
}

/** Does each step whatever became of the others. Throws an AggregateError at its end where steps have failed. */
async function round(plane: ControlPlane, actor: Actor): Promise<Swept> {
  const { db, settings, send, log } = plane;
  // A first deploy has the schedule before the schema; that is no fault to wake a person for.
  if (!(await hasLedger(db))) {
    log.warn("database not migrated yet", { todo: "migrate it; the sweep begins then" });
    return { expired: 0, again: 0, sent: 0, decided: 0, started: 0 };
  }
  const { learn, route } = plane.part(router);
  const { step, failed } = steps(log);
  await step("lost requests", async () => {
    const lost = await endLostRequests(db, actor, async (agents) => await nobodyHas(plane, agents));
    if (lost > 0) log.warn("requests lost by their queues", { requests: lost });
  });
  const silenced = await step("leases", async () => {
    const { ended, again, spoilt } = await expireLeases(db, actor, settings.work, learn, send, await sealOf(plane));
    for (const attempt of ended) log.warn("lease ran out", toWire(attempt));
    for (const attempt of again) log.warn("nobody has taken the work: asked for again", toWire(attempt));
    tellSpoilt(log, spoilt);
    return { expired: ended.length, again: again.length };
  });
  const sent = await step("leftovers", async () => await sendLeftovers(db, actor, send, LEFTOVERS_MS));
  const startThem = async () => (await startReady(plane, actor)).length;
  const started = await step("dispatch", startThem);
  // After all that has a time: it may take long.
  const decided = await step("undecided", async () => {
    const { found, spoilt } = await routeUndecided(db, actor, settings.work, route, ROUTING_MS);
    for (const { taskId, traceId, toAgent } of found) log.info("agent found", toWire({ taskId, traceId, toAgent }));
    tellSpoilt(log, spoilt);
    return found.length;
  });
  const startedThen = decided ? await step("dispatch of what found an agent", startThem) : 0;
  await step("warnings", async () => {
    for (const warning of await warningsOf(plane, actor)) log.warn("not right", { warning });
  });
  const all = started === undefined || startedThen === undefined ? undefined : started + startedThen;
  const outcome = { ...silenced, sent, decided, started: all };
  // A step that failed has counted nothing, which is not 0: it is left out.
  log.info("swept", outcome);
  await step("counting", async () => await measure(plane, actor, silenced));
  await step("audit chain", async () => {
    const chained = await chainAudit(db, SWEEP, CHAIN_MS);
    if (chained > 0) log.info("audit chained", { events: chained });
  });
  await maintain(plane, actor);
  if (failed.length > 0) throw failure(failed);
  // All steps are done, so all is counted.
  return outcome as Swept;
}

type Failed = { step: string; error: unknown };

/**
 * Steps of which each is done whatever became of the others: what fails is logged and kept in `failed`, and its step answers undefined.
 * Only where the database is away it is over at once: nothing else could be done either.
 */
function steps(log: Log) {
  const failed: Failed[] = [];
  const step = async <T>(name: string, run: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await run();
    } catch (error) {
      if (isConnectionSpent(error) || error instanceof Unavailable) throw error;
      log.error("sweep step failed", { step: name, error });
      failed.push({ step: name, error });
      return undefined;
    }
  };
  return { step, failed };
}

function failure(failed: Failed[]): AggregateError {
  const said = failed.map(({ step, error }) => `${step} (${error instanceof Error ? error.message : String(error)})`);
  return new AggregateError(
    failed.map(({ error }) => error),
    `The sweep could not do all of its steps: ${said.join("; ")}. The others are done, and it is tried again by the next sweep.`,
  );
}

function tellSpoilt(log: Log, spoilt: Spoilt[]): void {
  for (const work of spoilt) log.error("work left by the sweep", toWire(work));
}

/** Last, and never at the expense of the work: until it succeeds the default partitions take what comes. */
async function maintain({ db, settings, log }: ControlPlane, actor: Actor): Promise<void> {
  try {
    const changed = await keepPartitions(db, actor, settings.series);
    if (changed.made.length + changed.ended.length > 0) log.info("partitions changed", changed);
  } catch (error) {
    log.warn("partitions left for the next sweep", { error });
  }
}
