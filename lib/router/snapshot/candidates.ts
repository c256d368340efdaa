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

/** Ranks the agents of a team for requests. An instance keeps what that takes, so that most rankings need no round trip, and many no scoring. */
export class Candidates {
  /** Until the registry changes. */
  #definitions: Definitions | undefined;
  /** What the agents have shown, for snapshotSeconds. */
  #history: { of: History; at: number } | undefined;
  /** For cacheSeconds. */
  readonly #rankings: RankingCache;
  readonly #team: string;
  readonly #settings: RouterSettings;
  readonly #now: () => number;

  /** `now` in epoch milliseconds. */
  constructor(team: string, settings: RouterSettings, now: () => number) {
    this.#team = team;
    this.#rankings = new RankingCache(settings.cacheSeconds);
    this.#settings = settings;
    this.#now = now;
  }

  /** Ranks the agents for a request; `hash` is the request's. */
  async rank(db: Db, request: RouteRequest, hash: Buffer): Promise<Scored> {
    this.#definitions ??= await load(db, this.#team);
    const kept = this.#kept(this.#definitions, hash);
    return kept ?? this.#score(this.#definitions, await this.#historyOf(db), request, hash);
  }

  /** The same from what is known already; undefined where the database would have to be asked. */
  recall(request: RouteRequest, hash: Buffer): Scored | undefined {
    const definitions = this.#definitions;
    if (definitions === undefined) return undefined;
    const kept = this.#kept(definitions, hash);
    if (kept !== undefined || this.#history === undefined || this.#isOld(this.#history)) return kept;
    return this.#score(definitions, this.#history.of, request, hash);
  }

  #kept({ revision, names }: Definitions, hash: Buffer): Scored | undefined {
    const kept = this.#rankings.get(hash, revision, this.#now());
    return kept === undefined ? undefined : { ...kept, revision, names };
  }

  #score({ revision, index, names }: Definitions, history: History, request: RouteRequest, hash: Buffer): Scored {
    const ranking = score(index, history, request, this.#settings, this.#now());
    this.#rankings.set(hash, revision, ranking, this.#now());
    return { ranking, revision, names, ageSeconds: null };
  }

  /** Forgets the definitions, as the registry has changed; with them go the rankings. */
  forget(): void {
    this.#definitions = undefined;
  }

  #isOld({ at }: { at: number }): boolean {
    return this.#now() - at >= this.#settings.snapshotSeconds * 1000;
  }

  async #historyOf(db: Db): Promise<History> {
    if (this.#history === undefined || this.#isOld(this.#history)) {
      const of = buildHistory(await findPerformance(db, this.#team), this.#settings.halfLifeDays * 86_400_000);
      this.#history = { of, at: this.#now() };
    }
    return this.#history.of;
  }
}

async function load(db: Db, team: string): Promise<Definitions> {
  const { revision, definitions } = await findDefinitions(db, team);
  return { revision, index: buildIndex(definitions), names: definitions.map(({ name }) => name) };
}
