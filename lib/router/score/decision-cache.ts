import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { canonicalJson } from "../../input/json.ts";
import type { Ranking } from "./decision.ts";
import type { RouteRequest } from "./routable.ts";

/** An instance keeps so many candidates over all requests, some 15 MB: 50 requests where 1,000 agents offer the work, or 5,000 where ten do. */
const MOST_CANDIDATES = 50_000;
const REQUEST_FIELDS = [
  "request_text",
  "work_type",
  "to_agent",
  "project_id",
  "hints",
  "parent_agent",
  "capabilities",
  "exclude",
] as const;

/** SHA-256 over all that the score depends on, the same whatever the order of keys; other fields of the request do not count. */
export function requestHash(request: RouteRequest): Buffer {
  const content = Object.fromEntries(REQUEST_FIELDS.map((field) => [field, request[field]]));
  return createHash("sha256").update(canonicalJson(content)).digest();
}

/** A number from 0 to below 1, the same for the same hash and evenly spread over all. */
export function diceOf(hash: Buffer): number {
  return hash.readUInt32BE(0) / 2 ** 32;
}

/** `ranking` must not be changed: others get the same. */
export type CachedRanking = { ranking: Ranking; ageSeconds: number };
type Kept = { ranking: Ranking; revision: string; at: number };

/** The rankings of an instance by request hash, valid for one revision of the registry and for so many seconds. */
export class DecisionCache {
  readonly #kept = new LRUCache<string, Kept>({
    maxSize: MOST_CANDIDATES,
    sizeCalculation: ({ ranking }) => ranking.candidates.length + 1,
  });
  readonly #longestMs: number;

  /** `seconds` 0 keeps nothing. */
  constructor(seconds: number) {
    this.#longestMs = seconds * 1000;
  }

  /** The ranking of an equal request with its age, or undefined. `now` in epoch milliseconds. */
  get(hash: Buffer, revision: string, now: number): CachedRanking | undefined {
    const key = hash.toString("base64");
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    const ageMs = now - kept.at;
    if (kept.revision === revision && ageMs >= 0 && ageMs < this.#longestMs)
      return { ranking: kept.ranking, ageSeconds: ageMs / 1000 };
    this.#kept.delete(key);
    return undefined;
  }

  set(hash: Buffer, revision: string, ranking: Ranking, now: number): void {
    if (this.#longestMs > 0) this.#kept.set(hash.toString("base64"), { ranking, revision, at: now });
  }
}
