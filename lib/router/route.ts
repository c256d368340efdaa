import { CallerError } from "../errors.ts";
import { ORCHESTRATOR, Uuid } from "../protocol/messages.ts";
import type { Db } from "../runtime/postgres/db.ts";
import { availabilityOf } from "./decide/availability.ts";
import { choose } from "./decide/choice.ts";
import { Sights } from "./decide/presence.ts";
import { type Decided, toDecided } from "./decide/store-decision.ts";
import { type Scored, Scores } from "./score/candidates.ts";
import type { Candidate, Decision, Ranking } from "./score/decision.ts";
import { diceOf, requestHash } from "./score/decision-cache.ts";
import type { RouteRequest } from "./score/routable.ts";
import type { RouterSettings } from "./score/settings.ts";
import { findAgentOf, type State } from "./score/snapshot.ts";

export type RouterDeps = {
  settings: RouterSettings;
  /** The limit of agents whose definition has none. */
  inFlight: number;
  /** Agents whose queue the environment names. */
  queues: readonly string[];
  newId: () => string;
  now?: () => number;
};

/** A request with who fits it. */
type Question = Scored & { request: RouteRequest; hash: Buffer };

/** A decision, and the condition under which it is good. */
type Answer = { decision: Decision; holds: Decided["holds"] };

/** Of so many candidates it is asked first whether they are there and have room. */
const FIRST_LOOK = 20;
/** A registry that changes faster than it is read is a fault. */
const MOST_ROUNDS = 5;

/**
 * The router of one instance: keeps the compiled definitions while the registry's revision stays, what the agents have shown for
 * ROUTER_SNAPSHOT_SECONDS, and scores for ROUTER_CACHE_SECONDS. A decision takes one round trip; what it says of presence, load and
 * limits is of that moment. A provisional one takes none where the agents were seen within ROUTER_SNAPSHOT_SECONDS, and is good
 * only where its condition holds. The answered function throws a CallerError where to_agent names no agent.
 */
export function openRouter(
  deps: RouterDeps,
): (db: Db, request: RouteRequest, how?: { provisional: boolean }) => Promise<Decided> {
  const { settings, newId, now = Date.now } = deps;
  const known = { queues: deps.queues, silentSeconds: settings.AGENT_PRESENCE_SECONDS, inFlight: deps.inFlight };
  const scores = new Scores(settings, now);
  const sights = new Sights(known, settings.ROUTER_SNAPSHOT_SECONDS, now);

  return async (db, asked, { provisional } = { provisional: false }) => {
    const started = performance.now();
    const request = await withParent(db, asked);
    const hash = requestHash(request);
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const question = { request, hash, ...(await scores.rank(db, request, hash)) };
      const answer =
        (provisional ? fromMemory(question, sights, settings) : undefined) ??
        (await fromLook(db, question, sights, settings));
      if (answer !== undefined) {
        const us = Math.round((performance.now() - started) * 1000);
        const measured = { us, cacheAgeSeconds: question.ageSeconds };
        return toDecided(answer.decision, hash, { routingId: newId(), measured, holds: answer.holds });
      }
      scores.forget();
      sights.forget();
    }
    throw new Error("the registry changed with every look at it");
  };
}

/** With the agent of hints.parent_task_id, where there is such work. */
async function withParent(db: Db, request: RouteRequest): Promise<RouteRequest> {
  const parent = Uuid.safeParse(request.hints?.["parent_task_id"]);
  const agent = parent.success ? await findAgentOf(db, parent.data) : null;
  return agent === null ? request : { ...request, parent_agent: agent };
}

/** Decides by what was seen lately, good while it is so still; undefined where not all has been seen that it takes. */
function fromMemory(question: Question, sights: Sights, settings: RouterSettings): Answer | undefined {
  const agents = firstAsked(question.ranking);
  const states = isKnown(question) ? sights.lately(agents) : undefined;
  if (states === undefined) return undefined;
  const decision = decide(question, states, settings);
  if (!isAmong(agents, decision)) return undefined;
  // Who is named gets the work whatever its state.
  const needed = decision.strategy === "explicit" ? [] : states;
  return { decision, holds: (db) => sights.areStill(db, question.revision, needed) };
}

/**
 * Decides by how the agents are now; undefined where the registry has changed since they were ranked. Throws a CallerError where
 * to_agent names none.
 */
async function fromLook(
  db: Db,
  question: Question,
  sights: Sights,
  settings: RouterSettings,
): Promise<Answer | undefined> {
  const decideAmong = async (agents: readonly string[]) => {
    const { revision, states } = await sights.look(db, agents);
    return { revision, decision: decide(question, states, settings) };
  };
  const first = firstAsked(question.ranking);
  let found = await decideAmong(first);
  if (!isAmong(first, found.decision))
    found = await decideAmong([...first, ...question.ranking.candidates.map(({ agent }) => agent)]);
  if (found.revision !== question.revision) return undefined;
  if (!isKnown(question)) throw unknownAgent(question);
  return { decision: found.decision, holds: (to) => to`true` };
}

function decide({ ranking, request, hash }: Question, states: readonly State[], settings: RouterSettings): Decision {
  return choose(ranking, request, availabilityOf(states), settings, diceOf(hash));
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

function unknownAgent({ request, names }: Question): CallerError {
  const agents = names.filter((name) => name !== ORCHESTRATOR).toSorted();
  const why = request.to_agent === ORCHESTRATOR ? "is not an agent" : "is not known";
  const message = `${why}. ${agents.length === 0 ? "There are no agents yet." : `Agents are: ${agents.join(", ")}.`}`;
  return new CallerError(400, "invalid_input", `to_agent ${message}`, { fields: [{ field: "to_agent", message }] });
}
