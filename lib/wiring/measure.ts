import type { Actor } from "../access/actor.ts";
import { embeddedMetrics } from "../runtime/metrics.ts";
import { workState } from "../work/dispatch/state.ts";
import type { ControlPlane } from "./control-plane.ts";

/** What a sweep has done that is worth a metric: attempts that silence has ended, and those that were asked for again. */
type Done = { expired: number; again: number };

const count = (value: number) => ({ value, unit: "Count" }) as const;
const seconds = (value: number) => ({ value: Math.round(value), unit: "Seconds" }) as const;

/** How the work stands, as metrics of CloudWatch: deploy/alarms.yml names them. */
export async function measure(
  { db, agents, settings, log, stamp }: ControlPlane,
  actor: Actor,
  { expired, again }: Done,
): Promise<void> {
  const state = await workState(db, actor, agents);
  const metrics = {
    HeldUp: count(state.heldUp),
    Waiting: count(state.waiting),
    OldestWaitingSeconds: seconds(state.oldestWaitingSeconds),
    OldestUntakenSeconds: seconds(state.oldestUntakenSeconds),
    Undecided: count(state.undecided),
    Undeliverable: count(state.undeliverable),
    Cancelling: count(state.cancelling),
    Expired: count(expired),
    AskedAgain: count(again),
  };
  const dimensions = { service: "waybill", stage: settings.log.stage };
  log.metrics("work counted", embeddedMetrics("Waybill", dimensions, metrics, stamp.now()));
}
