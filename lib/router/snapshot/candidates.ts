import type { Db } from "../../runtime/postgres/db.ts";
import type { Ranking } from "../score/decision.ts";
import { buildHistory, type History } from "../score/historical.ts";
import type { RouteRequest } from "../score/routable.ts";
import { buildIndex, type RouterIndex, score } from "../score/score.ts";
import type { RouterSettings } from "../settings.ts";
import { findDefinitions } from "./definitions.ts";
import { findPerformance } from "./performance.ts";
import { RankingCache } from "./ranking-cache.ts";

/** Who fits a request by the registry as this revision has it; `names` are those of all agents. */
export type Scored = {
  ranking: Ranking;
  revision: string;
  names: readonly string[];
  /** How old the ranking is; null: it was made just now. */
  ageSeconds: number | null;
};

type Definitions = { revision: string; index: RouterIndex; names: string[] };

/** Ranks agents for requests. An instance keeps what that takes, so that most rankings need no round trip, and many no scoring. */
export class Candidates {
  /** Until the registry changes. */
  #definitions: Definitions | undefined;
  /** What the agents have shown, for snapshotSeconds. */
  #history: { of: History; at: number } | undefined;
  /** For cacheSeconds. */
  readonly #rankings: RankingCache;
  readonly #settings: RouterSettings;
  readonly #now: () => number;

  /** `now` in epoch milliseconds. */
  constructor(settings: RouterSettings, now: () => number) {
    this.#rankings = new RankingCache(settings.cacheSeconds);
    this.#settings = settings;
    this.#now = now;
  }

  /** Ranks the agents for a request; `hash` is the request's. */
  async rank(db: Db, request: RouteRequest, hash: Buffer): Promise<Scored> {
    this.#definitions ??= await load(db);
    const { revision, index, names } = this.#definitions;
    const kept = this.#rankings.get(hash, revision, this.#now());
    if (kept !== undefined) return { ...kept, revision, names };
    const ranking = score(index, await this.#historyOf(db), request, this.#settings, this.#now());
    this.#rankings.set(hash, revision, ranking, this.#now());
    return { ranking, revision, names, ageSeconds: null };
  }

  /** Forgets the definitions, as the registry has changed; with them go the rankings. */
  forget(): void {
    this.#definitions = undefined;
  }

  async #historyOf(db: Db): Promise<History> {
    const { snapshotSeconds, halfLifeDays } = this.#settings;
    if (this.#history === undefined || this.#now() - this.#history.at >= snapshotSeconds * 1000) {
      const of = buildHistory(await findPerformance(db), halfLifeDays * 86_400_000);
      this.#history = { of, at: this.#now() };
    }
    return this.#history.of;
  }
}

async function load(db: Db): Promise<Definitions> {
  const { revision, definitions } = await findDefinitions(db);
  return { revision, index: buildIndex(definitions), names: definitions.map(({ name }) => name) };
}
