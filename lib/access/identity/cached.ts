import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Outcome } from "../outcome.ts";
import type { Authenticate } from "./authenticate.ts";

const KEPT = 1_000;

/**
 * Keeps whom `authenticate` has known for `ms`, or until that ends by itself; who was refused is asked about again. What was shown is
 * kept as a hash alone.
 */
export function cachedFor(ms: number, authenticate: Authenticate): Authenticate {
  const kept = new LRUCache<string, Outcome>({ max: KEPT, ttl: ms });
  return async (headers) => {
    const shown = `${headers["authorization"] ?? ""}\n${headers["x-api-key"] ?? ""}`;
    const name = createHash("sha256").update(shown).digest("base64");
    const known = kept.get(name);
    if (known !== undefined) return known;
    const outcome = await authenticate(headers);
    if (!("refused" in outcome)) {
      const left = outcome.until === null ? ms : outcome.until.getTime() - Date.now();
      if (left > 0) kept.set(name, outcome, { ttl: Math.min(ms, left) });
    }
    return outcome;
  };
}
