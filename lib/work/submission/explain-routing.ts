import type * as z from "zod";
import { type Actor, teamOf } from "../../access/actor.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Explained } from "../core/answers.ts";
import type { Ask, Route } from "../core/router-seam.ts";

/** Which agent would get this work, and why; keeps nothing. Throws a CallerError, 400, where to_agent names none. */
export async function explainRouting(
  db: Db,
  actor: Actor,
  route: Route,
  asked: Ask,
): Promise<z.infer<typeof Explained>> {
  const { agent, routing, measured } = await route(db, teamOf(actor), { ...asked, hints: asked.hints ?? {} });
  const { us, cacheAgeSeconds } = measured;
  return {
    agent,
    ...routing,
    routing_time_us: us,
    cache_hit: cacheAgeSeconds !== null,
    cache_age_seconds: cacheAgeSeconds,
  };
}
