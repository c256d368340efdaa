/** What one way of the bridge has done since it started. */
export type Counters = {
  /** Handed over, and accepted by the other side. */
  moved: number;
  /** Tries to hand over that failed; each is made again. */
  failed: number;
  /** Messages that had been given to somebody before, us or another. */
  redelivered: number;
  /** Put with the dead letters of both sides. */
  poison: number;
  /** In hand now. */
  in_flight: number;
};

/** Counters at zero. */
export function counters(): Counters {
  return { moved: 0, failed: 0, redelivered: 0, poison: 0, in_flight: 0 };
}
