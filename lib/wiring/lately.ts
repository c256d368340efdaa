import { LRUCache } from "lru-cache";

const QUIET_MS = 1_000;
const KNOWN = 1_000;

/**
 * Makes what answers whether the same was asked less than a second ago, by what it is about; the thousand that were asked last are known.
 * By it a record keeps one of a kind a second, each process by itself.
 */
export function lately(): (about: string) => boolean {
  const known = new LRUCache<string, true>({ max: KNOWN, ttl: QUIET_MS });
  return (about) => {
    if (known.has(about)) return true;
    known.set(about, true);
    return false;
  };
}
