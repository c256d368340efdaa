import { log } from "../runtime/log.ts";

/** What two clocks may differ by, with a message on its way between them. */
const TOLERATED_MS = 60_000;

/** Compares the clock of this machine with the times that others tell, and says once when it starts or ends to be wrong. */
export type Clock = {
  /** Somebody's time as it is now. */
  compare: (theirs: Date, whose: string) => void;
  /** The time when something that has arrived was sent, maybe long ago: it shows only a clock that is behind. */
  compareSent: (theirs: Date, whose: string) => void;
};

/** A comparison that has seen nothing yet; `now` in milliseconds. Nothing of the kit depends on what it finds. */
export function watchClock(now: () => number = Date.now): Clock {
  let isWrong = false;
  const judge = (aheadMs: number, whose: string) => {
    const wrong = Math.abs(aheadMs) > TOLERATED_MS;
    if (wrong === isWrong) return;
    isWrong = wrong;
    const seconds = Math.round(Math.abs(aheadMs) / 1000);
    if (!wrong) return log.info("clock right again", { seconds });
    const which = aheadMs > 0 ? "ahead of" : "behind";
    log.warn("clock wrong", {
      seconds,
      says: `the clock of this machine is ${seconds} s ${which} that of ${whose}: the times of steps and of this log are wrong by that. Leases, order and reports go by the orchestrator's clock. AWS refuses what is signed 5 minutes off`,
      todo: "set the clock of this machine, by NTP for instance",
    });
  };
  return {
    compare: (theirs, whose) => judge(now() - theirs.getTime(), whose),
    compareSent: (theirs, whose) => {
      const aheadMs = now() - theirs.getTime();
      if (aheadMs < -TOLERATED_MS) judge(aheadMs, whose);
    },
  };
}
