// The ages are our own and not lru-cache's `ttl`: that serves an entry of exactly that age, and one of the future where a clock was set
// back; the age is answered too, and the clock is the caller's. It would save three lines.
import { LRUCache } from "lru-cache";
import type { Ranking } from "../score/decision.ts";

/** An instance keeps so many candidates over all requests, some 15 MB: 50 requests where 1,000 agents offer the work, or 5,000 where ten do. */
const MOST_CANDIDATES = 50_000;
/** `ranking` must not be changed: others get the same. */
export type CachedRanking = { ranking: Ranking; ageSeconds: number };
type Kept = { ranking: Ranking; revision: string; at: number };

/** The rankings of an instance by request hash, valid for one revision of the registry and for so many seconds. */
export class RankingCache {
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

  /** Keeps a ranking as of `now`, in epoch milliseconds. */
  set(hash: Buffer, revision: string, ranking: Ranking, now: number): void {
    if (this.#longestMs > 0) this.#kept.set(hash.toString("base64"), { ranking, revision, at: now });
  }
}
