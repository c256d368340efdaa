import type { Handover } from "../protocol/messages.ts";
import { coded, type Outcome } from "./define-work.ts";
import { messageOf } from "./text.ts";

/** Why a run was stopped: the reason of its signal. */
export class Stopped extends Error {
  override name = "Stopped";
  readonly why: "cancelled" | "timed out" | "shutting down";

  constructor(why: Stopped["why"], message: string) {
    super(message);
    this.why = why;
  }
}

/** What becomes of a run. `openSteps` is what is told of the steps that are still open then. */
export type Ending = { openSteps: string } & (
  | { how: "cancelled" | "handed back" }
  | { how: "handed over"; handover: Handover }
  | { how: "ended"; outcome: Outcome }
);

/** How a run ends whose work came to `outcome`; `stopped` is the reason of its signal, where that was aborted. */
export function endingOf(outcome: Outcome, stopped: unknown): Ending {
  const why = stopped instanceof Stopped ? stopped.why : undefined;
  const { handover } = outcome;
  // What ran to its end in spite of its signal is told as what it is.
  if (why === "cancelled" && (outcome.status !== "completed" || handover !== undefined)) {
    return { how: "cancelled", openSteps: messageOf(stopped) };
  }
  if (handover !== undefined && why !== "timed out") {
    return { how: "handed over", handover, openSteps: "still open when its work was handed over" };
  }
  if (why === "shutting down" && outcome.status !== "completed") {
    return { how: "handed back", openSteps: messageOf(stopped) };
  }
  const ended = why === "timed out" ? failed(coded(5006, messageOf(stopped))) : outcome;
  return { how: "ended", outcome: ended, openSteps: ended.error ?? "still open when its work ended" };
}

/** The outcome of work that failed for good. */
export function failed(error: string): Outcome {
  return { status: "failed", error };
}
