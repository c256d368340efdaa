/** Stops the external calls under way when they are switched off, wherever an instance learns of it first. */
export type KillSwitch = {
  /** Whether calls to external vendors are allowed, as was last read. */
  external: () => boolean;
  /** What has just been read. */
  told: (external: boolean) => void;
  /** Calls `stop`, once, as soon as external calls are switched off; at once where they are. Answers how to leave. */
  enter: (stop: () => void) => () => void;
};

/** How old what is known about the switch may be while external calls are under way. */
export const SWITCH_FRESH_MS = 1_000;

/** Not the time of day, which may be set back. */
const now = () => performance.now();

/**
 * One switch for a whole instance. `read` asks the database, and is called once a second while there is a call to stop and
 * nobody else has told; where it fails the switch stays as it was last seen.
 */
export function killSwitch(read: () => Promise<boolean>): KillSwitch {
  const running = new Set<{ stop: () => void }>();
  let external = true;
  let readAt = Number.NEGATIVE_INFINITY;
  let polling = false;

  const told = (allowed: boolean) => {
    external = allowed;
    readAt = now();
    if (allowed) return;
    const stopped = [...running];
    running.clear();
    for (const { stop } of stopped) stop();
  };
  const pollIn = (ms: number) => {
    polling = true;
    // A process that has nothing else to do may end.
    setTimeout(() => void poll(), Math.max(ms, 0)).unref();
  };
  const poll = async () => {
    let waitMs = readAt + SWITCH_FRESH_MS - now();
    if (running.size > 0 && waitMs <= 0) {
      await read().then(told, () => {});
      waitMs = SWITCH_FRESH_MS;
    }
    polling = false;
    if (running.size > 0) pollIn(waitMs);
  };

  return {
    external: () => external,
    told,
    enter: (stop) => {
      if (!external) {
        stop();
        return () => {};
      }
      const entry = { stop };
      running.add(entry);
      if (!polling) pollIn(readAt + SWITCH_FRESH_MS - now());
      return () => void running.delete(entry);
    },
  };
}
