import type { WorkContext } from "./define-work.ts";
import { clip, textOf } from "./text.ts";

/** How far a run is: a fraction from 0 to 1, and what its author says of it. */
export type Progress = { progress?: number; message?: string };

/** Progress is told at most this often. */
const PROGRESS_MS = 500;
/** setTimeout fires at once for more than this. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The signs of life of one run. */
export type Pulse = {
  progress: WorkContext["progress"];
  /** Tells at once, whenever the next sign is due. */
  beat: () => void;
  /** Tells nothing any more. */
  stop: () => void;
};

/** Tells three times a lease, the first time after a third of it, that a run is alive, with its latest progress. */
export function startPulse(leaseSeconds: number, tell: (latest: Progress) => void): Pulse {
  let latest: Progress = {};
  let soon: NodeJS.Timeout | undefined;
  let stopped = false;
  const beat = () => {
    soon = undefined;
    if (!stopped) tell(latest);
  };
  const timer = setInterval(beat, Math.min((leaseSeconds * 1000) / 3, LONGEST_TIMER_MS));
  return {
    progress: (fraction, message) => {
      if (stopped) return;
      const progress = Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : 0;
      latest = { progress, ...(message === undefined ? {} : { message: clip(textOf(message), 500) }) };
      soon ??= setTimeout(beat, PROGRESS_MS);
    },
    beat,
    stop: () => {
      stopped = true;
      clearInterval(timer);
      clearTimeout(soon);
    },
  };
}
