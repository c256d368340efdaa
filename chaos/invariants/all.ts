import type { History, Violation } from "../history/history.ts";
import { apart, bounded, fair, recovered } from "./bounds.ts";
import { conserved, idempotent, noWorkLost } from "./promises.ts";
import { effectOnce, fenced, legal, outboxKept, stopHeard } from "./states.ts";

/** Each invariant by its name, as docs/chaos.md tells of it. */
export const INVARIANTS: Record<string, readonly ((history: History) => Violation[])[]> = {
  "I1 no work lost": [noWorkLost],
  "I2 idempotent": [idempotent],
  "I3 legal transitions": [legal],
  "I4 effect once": [effectOnce],
  "I5 fencing": [fenced, stopHeard],
  "I6 outbox": [outboxKept],
  "I7 conservation": [conserved],
  "I8 bounded": [bounded, fair],
  "I9 isolation": [apart],
  "I10 recovery": [recovered],
};

/** Everything in a history that is against an invariant, in their order; empty where all hold. Pure. */
export function violationsIn(history: History): Violation[] {
  return Object.values(INVARIANTS).flatMap((parts) => parts.flatMap((part) => part(history)));
}
