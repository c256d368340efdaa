import { ORCHESTRATOR, Uuid } from "../../protocol/messages.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Ask, Route, Routed } from "../../work/core/router-seam.ts";
import type { Candidate, Decision, Ranking } from "../score/decision.ts";
import type { RouteRequest } from "../score/routable.ts";
import type { RouterSettings } from "../settings.ts";
import { Candidates, type Scored } from "../snapshot/candidates.ts";
import { diceOf, requestHash } from "../snapshot/request-hash.ts";
import type { State } from "./agent-states.ts";
import { availabilityOf } from "./availability.ts";
import { choose } from "./choice.ts";
import { findParentAgent } from "./parent.ts";
import { Presence } from "./presence.ts";
import { toRouted } from "./to-routed.ts";
import { unknownAgent } from "./unknown-agent.ts";

/** What the router of an instance is made of. */
export type RouterDeps = {
  settings: RouterSettings;
  /** The limit of agents whose definition has none. */
  inFlight: number;
  /** Agents whose queue the environment names. */
  queues: readonly string[];
  newId: () => string;
  /** Epoch milliseconds. */
  now: () => number;
};

/** A request with who fits it. */
type Question = Scored & { request: RouteRequest; hash: Buffer };

/** A decision, and the condition under which it is good. */
type Answer = { decision: Decision; holds: Routed["holds"] };

/** Of so many candidates it is asked first whether they are there and have room. */
const FIRST_LOOK = 20;
/** A registry that changes faster than it is read is a fault. */
const MOST_ROUNDS = 5;

/**
 * The router of one instance. It keeps the compiled definitions while the registry's revision stays, what the agents have shown and
 * how they are for snapshotSeconds, and rankings for cacheSeconds.
 */
export function openRouter(deps: RouterDeps): Route {
  const router = new AgentRouter(deps);
  return async (db, ask, how) => await router.route(db, ask, how);
}

class AgentRouter {
  readonly #settings: RouterSettings;
  readonly #candidates: Candidates;
  readonly #presence: Presence;
  readonly #newId: () => string;

  constructor({ settings, inFlight, queues, newId, now }: RouterDeps) {
    this.#settings = settings;
    this.#candidates = new Candidates(settings, now);
    const known = { queues, silentSeconds: settings.presenceSeconds, inFlight };
    this.#presence = new Presence(known, settings.snapshotSeconds, now);
    this.#newId = newId;
  }

  /**
   * Decides who gets the work. Takes one round trip; what it says of presence, load and limits is of that moment. A provisional
   * decision takes none where the agents were seen within snapshotSeconds, and is good only where its condition holds. Throws a
   * CallerError, 400, where to_agent names no agent.
   */
  async route(db: Db, asked: Ask, { provisional } = { provisional: false }): Promise<Routed> {
    const started = performance.now();
    const request = await this.#withParent(db, asked);
    const hash = requestHash(request);
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const question = { request, hash, ...(await this.#candidates.rank(db, request, hash)) };
      const remembered = provisional ? this.#fromMemory(question) : undefined;
      const answer = remembered ?? (await this.#fromLook(db, question));
      if (answer !== undefined) return this.#routed(question, answer, started);
      this.#candidates.forget();
      this.#presence.forget();
    }
    throw new Error("the registry changed with every look at it");
  }

  /** With the agent of hints.parent_task_id, where there is such work. */
  async #withParent(db: Db, asked: Ask): Promise<RouteRequest> {
    const parent = Uuid.safeParse(asked.hints?.["parent_task_id"]);
    const agent = parent.success ? await findParentAgent(db, parent.data) : null;
    return agent === null ? asked : { ...asked, parent_agent: agent };
  }

  /** Decides by what was seen lately, good while it is so still; undefined where not all has been seen that it takes. */
  #fromMemory(question: Question): Answer | undefined {
    const agents = firstAsked(question.ranking);
    const states = isKnown(question) ? this.#presence.lately(agents) : undefined;
    if (states === undefined) return undefined;
    const decision = this.#choose(question, states);
    if (!isAmong(agents, decision)) return undefined;
    // Who is named gets the work whatever its state.
    const needed = decision.strategy === "explicit" ? [] : states;
    return { decision, holds: (db) => this.#presence.areStill(db, question.revision, needed) };
  }

  /**
   * Decides by how the agents are now; undefined where the registry has changed since they were ranked. Throws a CallerError where
   * to_agent names none.
   */
  async #fromLook(db: Db, question: Question): Promise<Answer | undefined> {
    const { ranking, request, names } = question;
    const first = firstAsked(ranking);
    let found = await this.#chooseAmong(db, question, first);
    if (!isAmong(first, found.decision)) {
      const all = [...first, ...ranking.candidates.map(({ agent }) => agent)];
      found = await this.#chooseAmong(db, question, all);
    }
    if (found.revision !== question.revision) return undefined;
    if (!isKnown(question)) throw unknownAgent(request.to_agent, names);
    return { decision: found.decision, holds: (to) => to`true` };
  }

  async #chooseAmong(db: Db, question: Question, agents: readonly string[]) {
    const { revision, states } = await this.#presence.look(db, agents);
    return { revision, decision: this.#choose(question, states) };
  }

  #choose({ ranking, request, hash }: Question, states: readonly State[]): Decision {
    return choose(ranking, request, availabilityOf(states), this.#settings, diceOf(hash));
  }

  #routed({ hash, ageSeconds }: Question, { decision, holds }: Answer, started: number): Routed {
    const us = Math.round((performance.now() - started) * 1000);
    const measured = { us, cacheAgeSeconds: ageSeconds };
    return toRouted(decision, hash, { routingId: this.#newId(), measured, holds });
  }
}

/** The best candidates, and those who may get the work whatever their score. */
function firstAsked({ candidates, named, fallback }: Ranking): string[] {
  const first: (Candidate | undefined)[] = [...candidates.slice(0, FIRST_LOOK), named, fallback];
  return first.flatMap((candidate) => (candidate === undefined ? [] : [candidate.agent]));
}

/** Whether the agent that was chosen is one of those that were looked at: of another it is not known that it can take work. */
function isAmong(agents: readonly string[], { agent }: Decision): boolean {
  return agent === null || agents.includes(agent);
}

/** Whether to_agent, if given, names an agent. */
function isKnown({ request, ranking }: Question): boolean {
  return request.to_agent === undefined || (ranking.named !== undefined && request.to_agent !== ORCHESTRATOR);
}
