import * as z from "zod";
import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import type { Transformation } from "./handover.ts";

// What work knows of the router: the registry implements it, and the entry points hand it over.

const share = z.number().min(0).max(1);

/** The four parts of a confidence. */
const Parts = z.strictObject({ trigger: share, context: share, capability: share, historical: share });

/** Why this agent: the decision of the router that stays with the work. */
export const Routing = z
  .strictObject({
    strategy: z
      .enum(["explicit", "work_type", "scored", "fallback", "none"])
      .describe("by to_agent, as the only one of its type, by score, for want of a better one, or nobody"),
    confidence: share,
    parts: Parts,
    reason: z.string().describe("one sentence"),
    alternatives: z
      .array(
        z.strictObject({
          agent: z.string(),
          confidence: share,
          parts: Parts,
          passed_over: z.string().optional().describe("why not, where it is not for the confidence"),
        }),
      )
      .describe("the best of the others, in order"),
  })
  .meta({ id: "Routing" });
export type Routing = z.infer<typeof Routing>;

/** What is asked of the router, named as on the wire. */
export type Ask = {
  request_text: string;
  work_type?: string | undefined;
  hints: Record<string, unknown>;
  project_id?: string | undefined;
  to_agent?: string | undefined;
  /** Required beside hints.capabilities. */
  capabilities?: readonly string[] | undefined;
  /** Never chosen unless to_agent names them. */
  exclude?: readonly string[] | undefined;
};

/** What is asked again for work that is there. */
export function askOf(task: {
  requestText: string;
  workType: string;
  hints: Record<string, unknown>;
  projectId: string | null;
}): Ask {
  const { requestText, workType, hints, projectId } = task;
  return { request_text: requestText, work_type: workType, hints, project_id: projectId ?? undefined };
}

/** A decision. `keep` writes its row of the time series, from rows named `decided` with task_id, routed_at and work_type. */
export type Routed = {
  routingId: string;
  agent: string | null;
  routing: Routing;
  /** Microseconds that it took, and how old the scores were: null where they were made for it. */
  measured: { us: number; cacheAgeSeconds: number | null };
  keep: (db: Db) => Fragment;
  /** A condition: what this was decided on is so still. Of what was looked up for it that goes without saying. */
  holds: (db: Db) => Fragment;
};

/**
 * Chooses an agent for work. Throws a CallerError where to_agent names none. `provisional`: from what this instance has seen lately,
 * which saves a round trip; the statement that keeps the decision must have `holds` in its condition, and where it does not hold
 * the work is routed again without.
 */
export type Route = (db: Db, ask: Ask, how?: { provisional: boolean }) => Promise<Routed>;

/** Learns from work that has just ended, in the transaction that ends it; once for each end. */
export type Learn = (db: Db, taskIds: readonly string[]) => Promise<void>;

/** What the registry does for work. */
export type Registry = {
  route: Route;
  learn: Learn;
  /** Keeps an event with what is known now; call it before the task changes. The same event again changes nothing. */
  insertEvent: (db: Db, event: Transformation) => Promise<void>;
  /** Ends the events of work that has been cancelled, in the transaction that cancels it. */
  closeCancelled: (db: Db, taskId: string) => Promise<void>;
  hasEvent: (db: Db, taskId: string, eventId: string) => Promise<boolean>;
  /** How often this run of the work has changed hands. */
  countHandovers: (db: Db, taskId: string, runId: string) => Promise<number>;
};
