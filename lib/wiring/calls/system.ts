import { type Actor, DEFAULT_TEAM } from "../../access/actor.ts";
import { appliedMigrations } from "../../migrations/ledger.ts";
import { checkHealth } from "../../runtime/health/check-health.ts";
import type { QueueHealth } from "../../runtime/health/health.ts";
import type { getHealth } from "../../runtime/http/routes.ts";
import { ensureWritable } from "../../runtime/postgres/writable.ts";
import type { Answers } from "../serve.ts";
import { warningsOf } from "../warnings.ts";

/**
 * 200 where database, queues and migrations (`expected`, by name) are as they must be, 503 with the same body otherwise. Names of agents, and
 * what is about work, are told to callers of the team alone whose they are.
 */
export function health(expected: readonly string[]): Answers<typeof getHealth> {
  return async (plane, actor) => {
    const { db, settings, edges } = plane;
    const { work, results, agents } = settings.queues;
    const ofAgents = Object.entries(agents).map(([agent, url]) => [`agent.${agent}`, url] as const);
    const isStranger = actor.kind === "system";
    const found = await checkHealth({
      applied: async () => {
        await ensureWritable(db);
        return (await appliedMigrations(db)).map(({ name }) => name);
      },
      expected,
      queues: { work, results, ...Object.fromEntries(ofAgents) },
      counts: edges.queues.counts,
      warnings: async () => (isStranger ? [] : await warningsOf(plane, actor)),
    });
    return { status: found.status === "ok" ? 200 : 503, body: { ...found, queues: toldTo(actor, found.queues) } };
  };
}

/** The agents whose queues the settings name are the default team's: to everybody else they are one part. */
function toldTo(actor: Actor, queues: Record<string, QueueHealth>): Record<string, QueueHealth> {
  if (actor.kind !== "system" && actor.team === DEFAULT_TEAM) return queues;
  const told: Record<string, QueueHealth> = {};
  for (const [name, part] of Object.entries(queues)) {
    const as = name.startsWith("agent.") ? "agents" : name;
    told[as] = told[as] === undefined ? part : together(told[as], part);
  }
  return told;
}

/** Two queues as one: what has failed tells, and what is counted is added. */
function together(one: QueueHealth, other: QueueHealth): QueueHealth {
  return {
    ...(one.status === "ok" ? other : one),
    latency_ms: Math.max(one.latency_ms, other.latency_ms),
    waiting: (one.waiting ?? 0) + (other.waiting ?? 0),
    in_flight: (one.in_flight ?? 0) + (other.in_flight ?? 0),
  };
}
