import type { Db } from "../../runtime/postgres/db.ts";
import type { Routed } from "../../work/core/router-seam.ts";
import type { Decision, Parts } from "../score/decision.ts";
import { insertMetrics } from "./metrics.ts";

/** Gives a decision the form in which it is kept and answered: shares from 0 to 1, rounded to four places as the database does. */
export function toRouted(
  { agent, ...decision }: Decision,
  hash: Buffer,
  { routingId, measured, holds }: Pick<Routed, "routingId" | "measured" | "holds">,
): Routed {
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
