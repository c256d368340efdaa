import type { Actor } from "../access/actor.ts";
import { keepPartitions } from "../router/series.ts";
import { withConnections } from "../runtime/postgres/pool.ts";
import { toWire } from "../work/core/wire.ts";
import { endLostRequests } from "../work/dispatch/lost.ts";
import { expireLeases, sendLeftovers } from "../work/dispatch/sweep.ts";
import { routeUndecided } from "../work/submission/undecided.ts";
import type { ControlPlane } from "./control-plane.ts";
import { nobodyHas } from "./lost-requests.ts";
import { measure } from "./measure.ts";
import { router } from "./router.ts";
import { warningsOf } from "./warnings.ts";
import { startReady } from "./work.ts";

/** How long it looks for agents for work that has none, and sends what was left: the next sweep goes on with the rest. */
const ROUTING_MS = 15_000;
const LEFTOVERS_MS = 10_000;

/** How many attempts expired, were asked for again, leftovers were sent, pieces of work found an agent, attempts started. */
export type Swept = { expired: number; again: number; sent: number; decided: number; started: number };

/**
 * Ends leases that ran out, has requests that were lost asked for again, sends what a crash left in the outbox, starts work whose
 * time has come, finds agents for work that waits for one, tells how the work stands, and keeps the time series in months. Answers how
 * many of each; run again when the database connection is lost in the middle. Throws Unavailable where it is not done in `ms` milliseconds.
 */
export async function sweep(plane: ControlPlane, actor: Actor, ms?: number): Promise<Swept> {
  return await withConnections(true, async () => await round(plane, actor), ms);
}

async function round(plane: ControlPlane, actor: Actor): Promise<Swept> {
  const { db, settings, send, stamp, log } = plane;
  const { learn, route } = plane.part(router);
  const lost = await endLostRequests(db, actor, async (agents) => await nobodyHas(plane, agents));
  if (lost > 0) log.warn("requests lost by their queues", { requests: lost });
  const { ended, again, ...silenced } = await expireLeases(db, actor, settings.work, learn, send, stamp);
  for (const attempt of ended) log.warn("lease ran out", toWire(attempt));
  for (const attempt of again) log.warn("nobody has taken the work: asked for again", toWire(attempt));
  const sent = await sendLeftovers(db, actor, send, LEFTOVERS_MS);
  const started = await startReady(plane, actor);
  // After all that has a time: it may take long.
  const { found, ...undecided } = await routeUndecided(db, actor, settings.work, route, ROUTING_MS);
  for (const { taskId, traceId, toAgent } of found) log.info("agent found", toWire({ taskId, traceId, toAgent }));
  if (found.length > 0) started.push(...(await startReady(plane, actor)));
  for (const work of [...silenced.spoilt, ...undecided.spoilt]) log.error("work left by the sweep", toWire(work));
  for (const warning of await warningsOf(plane, actor)) log.warn("not right", { warning });
  const outcome = {
    expired: ended.length,
    again: again.length,
    sent,
    decided: found.length,
    started: started.length,
  };
  log.info("swept", outcome);
  await measure(plane, actor, outcome);
  await maintain(plane, actor);
  return outcome;
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
