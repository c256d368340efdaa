import { abortReason } from "../../errors.ts";
import type { Timeouts } from "../config/schema.ts";

export type Clock = {
  signal: AbortSignal;
  arm: (ms: number, reason: string) => void;
  fired: () => string | undefined;
  /** The answer has been read to its end: there is nothing left to hang up on. */
  ended: () => void;
  stop: () => void;
};

/** Why an attempt ends that is not needed any more. Made once: an error takes its stack with it, and this ends every attempt. */
export const OVER = abortReason("the attempt is over");

/** One timer for the clock that runs now, and the end of everything that is still going on when it rings. */
export function startClock({ stopped, clocks }: { stopped: AbortSignal; clocks: Timeouts }): Clock {
  const controller = new AbortController();
  let fired: string | undefined;
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  const ring = (reason: string) => {
    fired = reason;
    controller.abort(new Error(reason));
  };
  const total = setTimeout(ring, clocks.total_ms, "the time for the whole answer is over");
  const stop = () => controller.abort(stopped.reason);
  stopped.addEventListener("abort", stop, { once: true });
  if (stopped.aborted) stop();
  return {
    signal: controller.signal,
    arm: (ms, reason) => {
      clearTimeout(timer);
      timer = setTimeout(ring, ms, reason);
    },
    fired: () => fired,
    ended: () => {
      over = true;
    },
    stop: () => {
      clearTimeout(timer);
      clearTimeout(total);
      stopped.removeEventListener("abort", stop);
      // Ends the request if it still runs: a reader that stopped early leaves a vendor generating otherwise.
      if (!over) controller.abort(OVER);
    },
  };
}
