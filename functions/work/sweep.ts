import { system } from "../../lib/access/actor.ts";
import { routerWarnings } from "../../lib/router/decide/fallback.ts";
import { keepPartitions } from "../../lib/router/series.ts";
import { seriesSettings } from "../../lib/router/settings.ts";
import { log } from "../../lib/runtime/log.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { withConnections } from "../../lib/runtime/postgres/pool.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { router, routerSettings } from "../../lib/wiring/control-plane.ts";
import { agents, sendThrough, stamp, wakeForNext } from "../../lib/wiring/queues.ts";
import { dispatch } from "../../lib/work/dispatch/dispatch.ts";
import { expireLeases, sendLeftovers } from "../../lib/work/dispatch/sweep.ts";
import { toWire } from "../../lib/work/reading/task.ts";
import { workSettings } from "../../lib/work/settings.ts";
import { routeUndecided } from "../../lib/work/submission/undecided.ts";

const db = connect();
const actor = system("sweep");
const settings = readSettings(workSettings);
const send = sendThrough(db);
const retention = readSettings(seriesSettings);

/** How long it looks for agents for work that has none: the rest waits a minute more. */
const ROUTING_MS = 15_000;

/** Every minute: ends leases that ran out, sends what a crash left in the outbox, finds agents for work that waits for one, starts work whose time has come; keeps the time series in months. */
export const handler = async () => await withConnections(true, sweep);

async function sweep() {
  const expired = await expireLeases(db, actor, router.learn, send, stamp);
  const sent = await sendLeftovers(db, actor, send);
  const decided = await routeUndecided(db, actor, settings, router.route, ROUTING_MS);
  const { started, freeAt } = await dispatch(db, actor, settings, agents, send, stamp);
  for (const attempt of expired) log.warn("lease ran out", toWire(attempt));
  for (const { taskId, traceId, toAgent } of decided) log.info("agent found", toWire({ taskId, traceId, toAgent }));
  for (const attempt of started) log.info("work dispatched", toWire(attempt));
  for (const warning of await routerWarnings(db, actor, routerSettings)) log.warn("router not right", { warning });
  if (freeAt !== null) await wakeForNext(freeAt);
  const outcome = { expired: expired.length, sent, decided: decided.length, started: started.length };
  log.info("swept", outcome);
  await maintain();
  return outcome;
}

/** Last, and never at the expense of the work: until it succeeds the default partitions take what comes. */
async function maintain(): Promise<void> {
  try {
    const changed = await keepPartitions(db, actor, retention);
    if (changed.made.length + changed.ended.length > 0) log.info("partitions changed", changed);
  } catch (error) {
    log.warn("partitions left for the next sweep", { error });
  }
}
