import pLimit from "p-limit";
import { inLoopTime } from "./loop-time.ts";

/** Runs something against the database that takes `ms` milliseconds at most; rejects where it takes longer or fails. */
export type Bounded = <T>(ms: number, run: () => Promise<T>) => Promise<T>;

/** After a failure the database is left alone for so long, so that answers do not wait for it one by one. */
const AWAY_MS = 3_000;

/**
 * A circuit breaker before the database. A bound counts from when one of `connections` is there to run on: many calls at once are
 * no sign of a database that is away. `renew` replaces the connections: one that fell silent would keep every later call waiting.
 */
export function boundedBy(connections: number, now: () => number, renew: (error: unknown) => void): Bounded {
  const turn = pLimit(connections);
  let awayUntil = 0;
  return async (ms, run) =>
    await turn(async () => {
      if (awayUntil > now()) throw new Error("the database was away a moment ago");
      try {
        return await inLoopTime(ms, run());
      } catch (error) {
        awayUntil = now() + AWAY_MS;
        renew(error);
        throw error;
      }
    });
}
