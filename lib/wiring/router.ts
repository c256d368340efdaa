import { firstDecision } from "../router/decide/first-decision.ts";
import { openRouter } from "../router/decide/route.ts";
import { closeHandovers, countHandovers, hasHandover, insertHandover, whyNoRole } from "../router/learn/handovers.ts";
import { learn } from "../router/learn/learn.ts";
import type { Router } from "../work/core/router-seam.ts";
import type { Part } from "./control-plane.ts";

/** The router of a control plane, introduced to work here: work knows only its port. */
export const router: Part<Router> = ({ settings, agents, stamp }) => ({
  ...openRouter({
    settings: settings.router,
    inFlight: settings.work.agentInFlight,
    queues: agents,
    newId: stamp.newId,
    now: () => stamp.now().getTime(),
  }),
  firstDecision,
  learn: async (db, taskIds, takenBack) => await learn(db, settings.router, taskIds, takenBack),
  insertHandover,
  closeHandovers,
  hasHandover,
  whyNoRole,
  countHandovers,
});
