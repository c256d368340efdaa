import { LRUCache } from "lru-cache";
import { DEFAULT_TEAM } from "../../access/actor.ts";
import { ORCHESTRATOR, Uuid } from "../../protocol/messages.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Ask, Recall, Route, Routed } from "../../work/core/router-seam.ts";
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
  /** Agents of the default team whose queue the environment names. */
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
/** An instance keeps what it knows of so many teams, those that it was asked for last. */
const MOST_TEAMS = 100;
/** A registry that changes faster than it is read is a fault. */
const MOST_ROUNDS = 5;

/**
 * The router of one instance. It keeps the compiled definitions while the registry's revision stays, what the agents have shown and
 * how they are for snapshotSeconds, and rankings for cacheSeconds.
 */
export function openRouter(deps: RouterDeps): { route: Route; recall: Recall } {
  // A team has its own agents: what is kept of one says nothing of another's.
  const routers = new LRUCache<string, AgentRouter>({ max: MOST_TEAMS });
  const routerOf = (team: string) => {
    const router = routers.get(team) ?? new AgentRouter(deps, team);
    routers.set(team, router);
    return router;
  };
  return {
    route: async (db, team, ask) => await routerOf(team).route(db, ask),
    recall: (team, ask) => routerOf(team).recall(ask),
  };
}

class AgentRouter {
  readonly #team: string;
  readonly #settings: RouterSettings;
  readonly #candidates: Candidates;
  readonly #presence: Presence;
  readonly #newId: () => string;

  constructor({ settings, inFlight, queues, newId, now }: RouterDeps, team: string) {
    this.#team = team;
    this.#settings = settings;
    this.#candidates = new Candidates(team, settings, now);
    // The environment names the queues of the agents that ship, which are the default team's.
    const known = {
      team,
      queues: team === DEFAULT_TEAM ? queues : [],
      silentSeconds: settings.presenceSeconds,
      inFlight,
    };
    this.#presence = new Presence(known, settings.snapshotSeconds, now);
    this.#newId = newId;
  }

  /**
   * Decides who gets the work. Takes one round trip; what it says of presence, load and limits is of that moment. Throws a
   * CallerError, 400, where to_agent names no agent.
   */
  async route(db: Db, asked: Ask): Promise<Routed> {
    const started = performance.now();
    const request = await this.#withParent(db, asked);
    const hash = requestHash(request);
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const question = { request, hash, ...(await this.#candidates.rank(db, request, hash)) };
      const answer = await this.#fromLook(db, question);
      if (answer !== undefined) return this.#routed(question, answer, started);
      this.#candidates.forget();
      this.#presence.forget();
    }
    throw new Error("the registry changed with every look at it");
  }

  /**
   * Decides by what was seen within snapshotSeconds, without a look at the database; undefined where not all has been seen that it takes.
   * Good only where its condition holds.
   */
  recall(request: Ask): Routed | undefined {
    const started = performance.now();
    // Whose agent that is, the database knows.
    if (request.hints?.["parent_task_id"] !== undefined) return undefined;
    const hash = requestHash(request);
    const ranked = this.#candidates.recall(request, hash);
    const question = ranked === undefined ? undefined : { request, hash, ...ranked };
    const answer = question === undefined ? undefined : this.#fromMemory(question);
    if (question === undefined || answer === undefined) return undefined;
    return this.#routed(question, answer, started);
  }

  /** With the agent of hints.parent_task_id, where there is such work. */
  async #withParent(db: Db, asked: Ask): Promise<RouteRequest> {
    const parent = Uuid.safeParse(asked.hints?.["parent_task_id"]);
    const agent = parent.success ? await findParentAgent(db, this.#team, parent.data) : null;
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
