import type { Actor } from "../access/actor.ts";
import { workState } from "../work/dispatch/state.ts";
import type { ControlPlane } from "./control-plane.ts";
import { tellMetrics } from "./metrics.ts";

/** Attempts that silence has ended, and those that were asked for again; undefined where that step of the sweep has failed. */
type Silenced = { expired: number; again: number } | undefined;

const count = (value: number) => ({ value, unit: "Count" }) as const;
const seconds = (value: number) => ({ value: Math.round(value), unit: "Seconds" }) as const;

/** How the work stands, as metrics of CloudWatch: deploy/alarms.yml names them. What is not known is left out, as it is not 0. */
export async function measure(plane: ControlPlane, actor: Actor, silenced: Silenced): Promise<void> {
  const state = await workState(plane.db, actor, plane.agents);
  const metrics = {
    HeldUp: count(state.heldUp),
    Waiting: count(state.waiting),
    OldestWaitingSeconds: seconds(state.oldestWaitingSeconds),
    OldestUntakenSeconds: seconds(state.oldestUntakenSeconds),
    Undecided: count(state.undecided),
    Undeliverable: count(state.undeliverable),
    Cancelling: count(state.cancelling),
    ...(silenced === undefined ? {} : { Expired: count(silenced.expired), AskedAgain: count(silenced.again) }),
  };
  tellMetrics(plane, "work counted", metrics);
}
