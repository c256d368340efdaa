// Own, though cockatiel has circuit breakers: theirs are objects with timers inside, this is arithmetic on a time that is given,
// and the two rules that are ours (keys apart from models, the vendor's own Retry-After) are most of it.
import type { Failure } from "../config/failure.ts";
import type { Model } from "../config/schema.ts";
import { afterFailure, coolsKey, type Health, probing } from "./rules.ts";

/** What this process has learnt about models and keys. Another instance learns for itself: three failures, at most two calls. */
export type HealthBook = {
  of: (model: Model) => (Health | undefined)[];
  failed: (model: Model, failure: Failure, now: number) => void;
  answered: (model: Model) => void;
  probes: (model: Model, now: number) => void;
  /** The delay after which 95 of 100 calls of this model had their first token; undefined before there are twenty. */
  p95: (model: Model) => number | undefined;
  took: (model: Model, ttftMs: number) => void;
};

const SAMPLES = 100;
const ENOUGH = 20;

const modelKey = (model: Model) => `model ${model.name}`;
const providerKey = (model: Model) => `key ${model.provider.name}`;

/** The book of a process that has called nobody yet. Times are epoch milliseconds, delays milliseconds. */
export function healthBook(): HealthBook {
  const known = new Map<string, Health>();
  const delays = new Map<string, number[]>();
  return {
    of: (model) => [known.get(modelKey(model)), known.get(providerKey(model))],
    failed: (model, failure, now) => {
      const key = coolsKey(failure) ? providerKey(model) : modelKey(model);
      const health = afterFailure(known.get(key), failure, now);
      if (health !== undefined) known.set(key, health);
    },
    answered: (model) => {
      known.delete(modelKey(model));
      known.delete(providerKey(model));
    },
    probes: (model, now) => {
      for (const key of [modelKey(model), providerKey(model)]) {
        const health = known.get(key);
        if (health !== undefined && health.openUntil > 0) known.set(key, probing(health, now));
      }
    },
    p95: (model) => {
      const samples = delays.get(model.name) ?? [];
      if (samples.length < ENOUGH) return undefined;
      return samples.toSorted((a, b) => a - b)[Math.floor(samples.length * 0.95)];
    },
    took: (model, ttftMs) => {
      const samples = delays.get(model.name) ?? [];
      samples.push(ttftMs);
      if (samples.length > SAMPLES) samples.shift();
      delays.set(model.name, samples);
    },
  };
}
