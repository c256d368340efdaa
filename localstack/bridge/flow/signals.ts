import { setTimeout as sleep } from "node:timers/promises";
import { retryMs } from "../../../lib/agent-kit/transports/transport.ts";

/** How the bridge stops: first it takes nothing more, then what is still under way is given back. */
export type Signals = { stopping: AbortSignal; over: AbortSignal };

/** Waits as long as `failures` earlier failures ask for, or until the signal. */
export async function backOff(failures: number, signal: AbortSignal): Promise<void> {
  await sleep(retryMs(failures), undefined, { signal }).catch(() => {});
}

/** A condition that others wait for; whoever changes what it looks at says so. */
export type Condition = { changed: () => void; until: (holds: () => boolean, signal: AbortSignal) => Promise<void> };

/** Makes one. `until` answers when it holds or the signal is aborted, whichever is first. */
export function condition(): Condition {
  const waiting = new Set<() => void>();
  return {
    changed: () => {
      for (const look of waiting) look();
    },
    until: async (holds, signal) => {
      if (holds() || signal.aborted) return;
      await new Promise<void>((resolve) => {
        const look = () => {
          if (!holds() && !signal.aborted) return;
          waiting.delete(look);
          signal.removeEventListener("abort", look);
          resolve();
        };
        waiting.add(look);
        signal.addEventListener("abort", look);
      });
    },
  };
}
