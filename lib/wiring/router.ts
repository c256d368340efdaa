import { countHandovers, hasEvent, insertEvent } from "../router/learn/handovers.ts";
import { closeCancelled, learn } from "../router/learn/learn.ts";
import { openRouter } from "../router/route.ts";
import type { Registry } from "../work/core/router-seam.ts";
import type { Part } from "./control-plane.ts";

/** The router of a control plane, and what it does for work: introduced here, since work knows only its port. */
export const router: Part<Registry> = ({ settings, agents, stamp }) => ({
  route: openRouter({
    settings: settings.router,
    inFlight: settings.work.AGENT_IN_FLIGHT,
    queues: agents,
    newId: stamp.newId,
  }),
  learn: async (db, taskIds) => await learn(db, settings.router, taskIds),
  insertEvent,
  closeCancelled,
  hasEvent,
  countHandovers,
});
