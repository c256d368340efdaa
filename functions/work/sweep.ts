import { routerWarnings } from "../../lib/router/decide/fallback.ts";
import { keepPartitions, PartitionSettings } from "../../lib/router/series.ts";
import { readEnv } from "../../lib/runtime/env.ts";
import { log } from "../../lib/runtime/log.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { withConnections } from "../../lib/runtime/postgres/pool.ts";
import { registry, routerSettings } from "../../lib/wiring/control-plane.ts";
import { agents, sendThrough, stamp, wakeForNext } from "../../lib/wiring/queues.ts";
import { WorkSettings } from "../../lib/work/core/schema.ts";
import { dispatch } from "../../lib/work/dispatch/dispatch.ts";
import { expireLeases, sendLeftovers } from "../../lib/work/dispatch/sweep.ts";
import { toWire } from "../../lib/work/reading/task.ts";
import { routeUndecided } from "../../lib/work/submission/undecided.ts";

const db = connect();
const settings = readEnv(WorkSettings);
const send = sendThrough(db);
const retention = readEnv(PartitionSettings);

/** How long it looks for agents for work that has none: the rest waits a minute more. */
const ROUTING_MS = 15_000;

/** Every minute: ends leases that ran out, sends what a crash left in the outbox, finds agents for work that waits for one, starts work whose time has come; keeps the time series in months. */
export const handler = async () => await withConnections(true, sweep);

async function sweep() {
  const expired = await expireLeases(db, registry.learn, send, stamp);
  const sent = await sendLeftovers(db, send);
  const decided = await routeUndecided(db, settings, registry.route, ROUTING_MS);
  const { started, freeAt } = await dispatch(db, settings, agents, send, stamp);
  for (const attempt of expired) log.warn("lease ran out", toWire(attempt));
  for (const { taskId, traceId, toAgent } of decided) log.info("agent found", toWire({ taskId, traceId, toAgent }));
  for (const attempt of started) log.info("work dispatched", toWire(attempt));
  for (const warning of await routerWarnings(db, routerSettings)) log.warn("router not right", { warning });
  if (freeAt !== null) await wakeForNext(freeAt);
  const outcome = { expired: expired.length, sent, decided: decided.length, started: started.length };
  log.info("swept", outcome);
  await maintain();
  return outcome;
}

/** Last, and never at the expense of the work: until it succeeds the default partitions take what comes. */
async function maintain(): Promise<void> {
  try {
    const changed = await keepPartitions(db, retention);
    if (changed.made.length + changed.ended.length > 0) log.info("partitions changed", changed);
  } catch (error) {
    log.warn("partitions left for the next sweep", { error });
  }
}
