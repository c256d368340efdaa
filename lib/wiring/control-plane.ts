import * as z from "zod";
import { countHandovers, hasEvent, insertEvent } from "../router/learn/handovers.ts";
import { closeCancelled, learn } from "../router/learn/learn.ts";
import { openRouter } from "../router/route.ts";
import { RouterSettings } from "../router/score/settings.ts";
import { readEnv } from "../runtime/env.ts";
import type { Registry } from "../work/core/router-seam.ts";
import { WorkSettings } from "../work/core/schema.ts";
import { queues, stamp } from "./queues.ts";

/** What the entry points need where work and the registry meet. */
export const routerSettings: RouterSettings = readEnv(RouterSettings);

/** The router of this instance. */
export const route = openRouter({
  settings: routerSettings,
  inFlight: readEnv(z.object({ AGENT_IN_FLIGHT: WorkSettings.shape.AGENT_IN_FLIGHT })).AGENT_IN_FLIGHT,
  queues: Object.keys(queues.agents),
  newId: stamp.newId,
});

/** What the registry does for work. */
export const registry: Registry = {
  route,
  learn: async (db, taskIds) => await learn(db, routerSettings, taskIds),
  insertEvent,
  closeCancelled,
  hasEvent,
  countHandovers,
};
