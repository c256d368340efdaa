import { fade, type Performance } from "./fading.ts";

/** What is known of all agents' work, brought to one instant: from there all fades by one common factor. */
export type History = {
  halfLifeMs: number;
  /** Epoch milliseconds for which the sums hold; 0 where nothing is known. */
  at: number;
  /** By agent: its work of each type, and all of it. */
  agents: ReadonlyMap<string, { all: Sums; byType: ReadonlyMap<string, Sums> }>;
  /** By work type: how long it takes, over all agents, ms. */
  usualMs: ReadonlyMap<string, number>;
};
type Sums = {
  weight: number;
  success: number;
  qualityWeight: number;
  quality: number;
  timeWeight: number;
  timeMs: number;
};

/** What earlier work lets expect of an agent. */
export type Expectation = { historical: number; expectedQuality: number; observations: number };

/** What is believed of an agent of which nothing is known, and how many outcomes it takes to believe half of what they say. */
const PRIOR = { success: 0.7, quality: 0.7, speed: 0.5, strength: 10 };
const SHARES = { success: 0.5, quality: 0.3, speed: 0.2 };
const PRIOR_WORTH = SHARES.success * PRIOR.success + SHARES.quality * PRIOR.quality + SHARES.speed * PRIOR.speed;
/** How sharply the historical part tells good from bad: 0.1 better than the prior is 0.69, 0.2 better 0.83. */
const SHARPNESS = 8;

/** Gathers the rows once per snapshot. */
export function buildHistory(performance: readonly Performance[], halfLifeMs: number): History {
  const at = performance.reduce((latest, row) => Math.max(latest, row.observed_at), 0);
  const agents = new Map<string, { all: Sums; byType: Map<string, Sums> }>();
  const times = new Map<string, { weight: number; ms: number }>();
  for (const row of performance) {
    const factor = fade(at - row.observed_at, halfLifeMs);
    const sums: Sums = {
      weight: row.weight * factor,
      success: row.success_sum * factor,
      qualityWeight: row.quality_weight * factor,
      quality: row.quality_sum * factor,
      timeWeight: row.time_weight * factor,
      timeMs: row.time_ms_sum * factor,
    };
    const known = agents.get(row.agent) ?? { all: NOTHING, byType: new Map<string, Sums>() };
    known.byType.set(row.work_type, sums);
    agents.set(row.agent, { all: add(known.all, sums), byType: known.byType });
    const time = times.get(row.work_type) ?? { weight: 0, ms: 0 };
    times.set(row.work_type, { weight: time.weight + sums.timeWeight, ms: time.ms + sums.timeMs });
  }
  const usualMs = new Map([...times].flatMap(([type, { weight, ms }]) => (weight > 0 ? [[type, ms / weight]] : [])));
  return { halfLifeMs, at, agents, usualMs };
}

/**
 * The historical part of agents for work of one type at `now`. Each rate is that of the agent's work of this type, shrunk with the
 * weight of ten outcomes towards its other work, which is shrunk in the same way towards the prior; so few outcomes move little, and
 * what fades goes back to the prior. Worth is 0.5 success + 0.3 quality + 0.2 speed, where speed is usual / (usual + own time). The
 * part is 1 / (1 + exp(-8 (worth - worth of the prior))): 0.5 for the unknown, sharper than the worth itself, as it decides among
 * agents whose other parts are alike.
 */
export function expectationsAt(history: History, workType: string, now: number): (agent: string) => Expectation {
  const factor = fade(now - history.at, history.halfLifeMs);
  const usualMs = history.usualMs.get(workType);
  return (agent) => {
    const known = history.agents.get(agent);
    if (known === undefined) return UNKNOWN;
    const own = known.byType.get(workType) ?? NOTHING;
    const { all } = known;
    // Its other work: never below zero, as what is left after taking away may be a rounding error.
    const others = Math.max(0, all.weight - own.weight) * factor;
    const othersQuality = Math.max(0, all.qualityWeight - own.qualityWeight) * factor;
    const success = shrunk(
      own.success * factor,
      own.weight * factor,
      shrunk(Math.min(others, Math.max(0, all.success - own.success) * factor), others, PRIOR.success),
    );
    const quality = shrunk(
      own.quality * factor,
      own.qualityWeight * factor,
      shrunk(Math.min(othersQuality, Math.max(0, all.quality - own.quality) * factor), othersQuality, PRIOR.quality),
    );
    const ms = usualMs === undefined ? undefined : shrunk(own.timeMs * factor, own.timeWeight * factor, usualMs);
    const speed =
      ms === undefined || usualMs === undefined ? PRIOR.speed : usualMs === 0 ? 0.5 : usualMs / (usualMs + ms);
    const worth = SHARES.success * success + SHARES.quality * quality + SHARES.speed * speed;
    return {
      historical: 1 / (1 + Math.exp(-SHARPNESS * (worth - PRIOR_WORTH))),
      expectedQuality: quality,
      observations: own.weight * factor,
    };
  };
}

const NOTHING: Sums = { weight: 0, success: 0, qualityWeight: 0, quality: 0, timeWeight: 0, timeMs: 0 };
const UNKNOWN: Expectation = { historical: 0.5, expectedQuality: PRIOR.quality, observations: 0 };

function shrunk(sum: number, weight: number, towards: number): number {
  return (sum + PRIOR.strength * towards) / (weight + PRIOR.strength);
}

function add(a: Sums, b: Sums): Sums {
  return {
    weight: a.weight + b.weight,
    success: a.success + b.success,
    qualityWeight: a.qualityWeight + b.qualityWeight,
    quality: a.quality + b.quality,
    timeWeight: a.timeWeight + b.timeWeight,
    timeMs: a.timeMs + b.timeMs,
  };
}
