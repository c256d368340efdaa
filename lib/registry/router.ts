import type { Availability, Candidate, Decision, Ranking } from "./decision.ts";
import type { Performance } from "./learning.ts";
import type { Routable, RouteRequest } from "./routable.ts";
import type { Policy } from "./settings.ts";
export type RouterIndex = { agents: readonly Routable[] };
export type History = { performance: readonly Performance[]; halfLifeMs: number };
/** Once per registry revision. */
export declare function buildIndex(definitions: readonly Routable[]): RouterIndex;
/** Once per snapshot; cheap. */
export declare function buildHistory(performance: readonly Performance[], halfLifeMs: number): History;
export declare function score(
  index: RouterIndex,
  history: History,
  request: RouteRequest,
  policy: Policy,
  now: number,
): Ranking;
/** `dice` 0 to below 1, from the request's hash (diceOf in decision-cache.ts). */
export declare function choose(
  ranking: Ranking,
  request: RouteRequest,
  availability: Availability,
  policy: Policy,
  dice: number,
): Decision;
export type _Used = Candidate;
