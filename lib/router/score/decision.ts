import type { Routing } from "../../work/core/routing.ts";

/** The four parts of a confidence, each from 0 to 1. */
export type Parts = Routing["parts"];

/** An agent with its score for a request. */
export type Candidate = {
  agent: string;
  /** 0 to 1: the parts, weighted. */
  confidence: number;
  parts: Parts;
  /** The quality that its earlier work of this type lets expect, 0 to 1. */
  expected_quality: number;
  /** How many outcomes of this work type are known, faded. */
  observations: number;
  /** Whether its definition names the work type, by other than `*`. */
  names_work_type: boolean;
  /** The trigger that matched best, as its author wrote it. */
  matched?: string | undefined;
};

/** Who could do it, best first. `named` is to_agent, `fallback` the configured one, scored whether or not they are eligible. */
export type Ranking = {
  candidates: readonly Candidate[];
  named?: Candidate | undefined;
  fallback?: Candidate | undefined;
  /** When the newest outcome came that the scores know of, epoch milliseconds; 0: none. */
  known_at: number;
};

/** Why an agent is passed over now. `absent`: no queue or no sign of life; `limit`: over its concurrency or rate. */
export type Unavailable = { kind: "absent" | "limit"; reason: string };

/** The agents that cannot take work now; who is not in it can. */
export type Availability = ReadonlyMap<string, Unavailable>;

/** A decision as it stays with the work, and who was chosen; agent null: nobody, and the work waits. Confidence is 0 then. */
export type Decision = Routing & { agent: string | null };
