import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import type { Routing } from "./routing.ts";

// The port to the router: what work asks of it and tells it. lib/router implements it, lib/wiring hands it over.

/** What is asked of the router, named as on the wire. */
export type Ask = {
  request_text: string;
  work_type?: string | undefined;
  hints?: Readonly<Record<string, unknown>> | undefined;
  project_id?: string | undefined;
  to_agent?: string | undefined;
  /** Required beside hints.capabilities. */
  capabilities?: readonly string[] | undefined;
  /** Never chosen unless to_agent names them. */
  exclude?: readonly string[] | undefined;
};

/** What the router is asked for work that is kept already. */
export function askOf(task: {
  requestText: string;
  workType: string;
  hints: Record<string, unknown>;
  projectId: string | null;
}): Ask {
  const { requestText, workType, hints, projectId } = task;
  return { request_text: requestText, work_type: workType, hints, project_id: projectId ?? undefined };
}

/** A decision of the router. */
export type Routed = {
  routingId: string;
  /** Null: nobody, and the work waits for a person. */
  agent: string | null;
  routing: Routing;
  /** Microseconds that it took, and how old the scores were: null where they were made for it. */
  measured: { us: number; cacheAgeSeconds: number | null };
  /** The end of a statement: writes its row of the time series for the rows named `decided` (task_id, team_id, routed_at, work_type). */
  keep: (db: Db) => Fragment;
  /** A condition for a statement: what was remembered and decided on is still so; true where it was looked up for this decision. */
  holds: (db: Db) => Fragment;
};

/** Chooses one of the agents of a team for work. Throws a CallerError where to_agent names none. */
export type Route = (db: Db, team: string, ask: Ask) => Promise<Routed>;

/**
 * The same from what this instance has seen lately, which saves a round trip; undefined where that is not enough. The statement that keeps
 * the decision must have `holds` in its condition, and where it does not hold the work is routed again.
 */
export type Recall = (team: string, ask: Ask) => Routed | undefined;

/**
 * Learns from work that has just ended, in the transaction that ends it; once for each end. `takenBack`: those of them that had failed
 * before, in the same run, and count once: as completed.
 */
export type Learn = (db: Db, taskIds: readonly string[], takenBack?: readonly TakenBack[]) => Promise<void>;

/** Work that had failed by silence and was completed after all, and the agent whose failure that was. */
export type TakenBack = { taskId: string; agent: string };

/** Work that changes hands, or an agent that takes another part in it (`sub_role`): what the router is told of it. */
export type NewHandover = {
  eventId: string;
  taskId: string;
  type: "handover" | "sub_role";
  source: string;
  target: string;
  /** The part that is taken; null where the work changes hands. */
  role: string | null;
  reason: string | null;
  context: Record<string, unknown>;
  /** The decision that chose the target; null for a part. */
  routed: { confidence: number; strategy: string } | null;
  /** Why nobody was found, where the target is nobody. */
  error: string | null;
};

/** How work got its first agent: `explicit` where its caller has named it. */
export type FirstDecision = Pick<Routing, "strategy"> & Pick<Routed, "agent">;

/** What the router does for work. */
export type Router = {
  route: Route;
  recall: Recall;
  /** The decision under which work was submitted; undefined where it is no longer kept and others came after it. */
  firstDecision: (db: Db, taskId: string) => Promise<FirstDecision | undefined>;
  learn: Learn;
  /** Keeps a handover with what is known now; call it before the task changes. The same eventId again changes nothing. */
  insertHandover: (db: Db, handover: NewHandover) => Promise<void>;
  /** Ends the open handovers of work that has been cancelled, in the transaction that cancels it. */
  closeHandovers: (db: Db, taskId: string) => Promise<void>;
  /** Whether this handover of the work is kept. */
  hasHandover: (db: Db, taskId: string, eventId: string) => Promise<boolean>;
  /** Why no other part in this locked work can be kept, as a sentence; undefined where it can, or this event is kept. */
  whyNoRole: (db: Db, taskId: string, eventId: string) => Promise<string | undefined>;
  /** How often this run of the work has changed hands; parts do not count. */
  countHandovers: (db: Db, taskId: string, runId: string) => Promise<number>;
};
