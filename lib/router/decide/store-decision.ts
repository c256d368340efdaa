import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import type { Decision, Parts } from "../score/decision.ts";
import { insertMetrics } from "./metrics.ts";

/** A decision as it is kept and answered. */
export type Decided = {
  routingId: string;
  agent: string | null;
  routing: Omit<Decision, "agent">;
  /** What the decision took, and how old the scores were that it used: null where they were made for it. */
  measured: { us: number; cacheAgeSeconds: number | null };
  /** Writes the row of the time series from rows named `decided`: (task_id, routed_at, work_type). */
  keep: (db: Db) => Fragment;
  /** A condition: what this was decided on is so still. */
  holds: (db: Db) => Fragment;
};

/** Gives a decision the form in which it is kept and answered: shares as the database rounds them. */
export function toDecided(
  { agent, ...decision }: Decision,
  hash: Buffer,
  { routingId, measured, holds }: Pick<Decided, "routingId" | "measured" | "holds">,
): Decided {
  const routing = { ...rounded(decision), alternatives: decision.alternatives.map(rounded) };
  const keep = (db: Db) => insertMetrics(db, { routingId, agent, routing, hash, measured });
  return { routingId, agent, routing, measured, keep, holds };
}

function rounded<T extends { confidence: number; parts: Parts }>(scored: T): T {
  const { trigger, context, capability, historical } = scored.parts;
  return {
    ...scored,
    confidence: round(scored.confidence),
    parts: {
      trigger: round(trigger),
      context: round(context),
      capability: round(capability),
      historical: round(historical),
    },
  };
}

/** As the database keeps it. */
function round(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * 10_000) / 10_000;
}
