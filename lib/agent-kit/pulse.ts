import type { WorkContext } from "./define-work.ts";
import { clip, textOf } from "./text.ts";

/** How far a run is: a fraction from 0 to 1, and what its author says of it. */
export type Progress = { progress?: number; message?: string };

/** Progress is told at most this often. */
const PROGRESS_MS = 500;

/** The signs of life of one run. */
export type Pulse = {
  progress: WorkContext["progress"];
  /** Tells nothing any more. */
  stop: () => void;
};

/** Tells at once, and then every `everyMs`, that a run is alive, with its latest progress. */
export function startPulse(everyMs: number, beat: (latest: Progress) => void): Pulse {
  let latest: Progress = {};
  let soon: NodeJS.Timeout | undefined;
  let stopped = false;
  const tell = () => {
    soon = undefined;
    beat(latest);
  };
  const timer = setInterval(tell, everyMs);
  tell();
  return {
    progress: (fraction, message) => {
      if (stopped) return;
      const progress = Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : 0;
      latest = { progress, ...(message === undefined ? {} : { message: clip(textOf(message), 500) }) };
      soon ??= setTimeout(tell, PROGRESS_MS);
    },
    stop: () => {
      stopped = true;
      clearInterval(timer);
      clearTimeout(soon);
    },
  };
}
