import { setImmediate as nextTurn } from "node:timers/promises";
import { log } from "../runtime/log.ts";

const LOOK_MS = 1000;
/** How long steps may follow each other without a turn of the event loop. */
const MOST_MS = 50;

/** What may be blocked, and how long its signs of life may be late: a third of its lease. */
export type Waiting = { task_id: string; work_type: string; everyMs: number };

/** A watch over the event loop. `look` is for the moment before work leaves the hand, which may be the end of a block. */
export type Watch = { look: () => void; stop: () => void };

/**
 * Says when the event loop was blocked for longer than a sign of life of work in hand may be late, how long, and by which work,
 * until `stop`. The signs that are overdue then leave in the same turn.
 */
export function watchEventLoop(inHand: () => Waiting[]): Watch {
  let last = performance.now();
  const look = () => {
    const now = performance.now();
    const blockedMs = Math.round(now - last - LOOK_MS);
    const late = inHand().filter(({ everyMs }) => blockedMs > everyMs);
    if (late.length === 0) return;
    // Told once: the look that is overdue finds nothing more.
    last = now;
    log.warn("event loop blocked", {
      blocked_ms: blockedMs,
      work: late.slice(0, 20).map(({ task_id, work_type }) => ({ task_id, work_type })),
      says: "no sign of life left meanwhile; work that is silent for a lease, and then for two thirds of it while it is asked, loses its attempt",
      todo: "await something now and then, or move what computes for long into a worker thread",
    });
  };
  const timer = setInterval(() => {
    look();
    last = performance.now();
  }, LOOK_MS);
  timer.unref();
  return { look, stop: () => clearInterval(timer) };
}

let lastTurn = performance.now();

/** Lets timers and sockets have their turn, where work that never really waits has kept them from it for a while. */
export async function breathe(): Promise<void> {
  if (performance.now() - lastTurn < MOST_MS) return;
  await nextTurn();
  lastTurn = performance.now();
}
