import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import { isAsSeen, type Known, type Look, look, type State } from "./agent-states.ts";

/**
 * How the agents were when this instance last looked at them. A plain map with ages and not lru-cache's `ttl`: it holds the registry's
 * agents at most, all are forgotten at once, and the clock is the caller's.
 */
export class Presence {
  readonly #seen = new Map<string, { state: State; at: number }>();
  readonly #known: Known;
  readonly #goodForMs: number;
  readonly #now: () => number;

  /** What was seen is good for so many seconds; 0: for no time. `now` in epoch milliseconds. */
  constructor(known: Known, seconds: number, now: () => number) {
    this.#known = known;
    this.#goodForMs = seconds * 1000;
    this.#now = now;
  }

  /** Looks at these agents, and at which revision the registry has, in one round trip. */
  async look(db: Db, agents: readonly string[]): Promise<Look> {
    const seen = await look(db, agents, this.#known);
    for (const state of seen.states) this.#seen.set(state.agent, { state, at: this.#now() });
    return seen;
  }

  /** How all of these agents were lately, in this order; undefined where one of them has not been looked at for too long. */
  lately(agents: readonly string[]): State[] | undefined {
    const since = this.#now() - this.#goodForMs;
    const states = agents.flatMap((agent) => {
      const seen = this.#seen.get(agent);
      return seen !== undefined && seen.at > since ? [seen.state] : [];
    });
    return states.length === agents.length ? states : undefined;
  }

  /** A condition: the registry has this revision still, and these agents can, or cannot, take work as they were seen. */
  areStill(db: Db, revision: string, states: readonly State[]): Fragment {
    return isAsSeen(db, revision, states, this.#known);
  }

  /** Forgets all, as the registry has changed. */
  forget(): void {
    this.#seen.clear();
  }
}
