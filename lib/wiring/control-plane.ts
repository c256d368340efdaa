import { openRouter } from "../router/decide/route.ts";
import { closeHandovers, countHandovers, hasHandover, insertHandover } from "../router/learn/handovers.ts";
import { learn } from "../router/learn/learn.ts";
import { routerSettings as declared, type RouterSettings } from "../router/settings.ts";
import { readSettings } from "../runtime/settings.ts";
import type { Router } from "../work/core/router-seam.ts";
import { workSettings } from "../work/settings.ts";
import { queues, stamp } from "./queues.ts";

/** What the entry points need where work and the registry meet. */
export const routerSettings: RouterSettings = readSettings(declared);

/** The router of this instance. */
export const route = openRouter({
  settings: routerSettings,
  inFlight: readSettings({ agentInFlight: workSettings.agentInFlight }).agentInFlight,
  queues: Object.keys(queues.agents),
  newId: stamp.newId,
});

/** What the router does for work. */
export const router: Router = {
  route,
  learn: async (db, taskIds) => await learn(db, routerSettings, taskIds),
  insertHandover,
  closeHandovers,
  hasHandover,
  countHandovers,
};
