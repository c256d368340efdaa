import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import { isAsSeen, type Known, type Look, look, type State } from "../score/snapshot.ts";

/** How the agents were when this instance last looked at them. */
export class Sights {
  readonly #seen = new Map<string, { state: State; at: number }>();
  readonly #known: Known;
  readonly #goodForMs: number;
  readonly #now: () => number;

  /** A sight is good for so many seconds; 0: for no time. */
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

  /** How all of these agents were lately; undefined where one of them has not been looked at for too long. */
  lately(agents: readonly string[]): State[] | undefined {
    const since = this.#now() - this.#goodForMs;
    const states = agents.flatMap((agent) => {
      const sight = this.#seen.get(agent);
      return sight !== undefined && sight.at > since ? [sight.state] : [];
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
