import { randomUUID } from "node:crypto";
import { DEFAULT_TEAM, system } from "../../lib/access/actor.ts";
import { AgentDefinition } from "../../lib/registry/definition.ts";
import { findAgents } from "../../lib/registry/queries.ts";
import { findVersions, updateVersion } from "../../lib/registry/versions.ts";
import { findReport } from "../../lib/reports/all.ts";
import { look } from "../../lib/router/decide/agent-states.ts";
import { giveFeedback } from "../../lib/router/learn/feedback.ts";
import { countHandovers, findHandovers, insertHandover } from "../../lib/router/learn/handovers.ts";
import { learn } from "../../lib/router/learn/learn.ts";
import { keepPartitions } from "../../lib/router/series.ts";
import { routerSettings, seriesSettings } from "../../lib/router/settings.ts";
import type { Pool } from "../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../lib/runtime/settings.ts";

/** An index of the registry's three tables, and a query of ours for which it is there. */
export type Need = { index: string; query: string; plan: RegExp; run: (db: Pool, taskId: string) => Promise<unknown> };

const settings = readSettings(routerSettings, {});
const actor = system("bench", DEFAULT_TEAM);

/** How a plan names the index of one table, whatever Postgres called it in a partition. */
function scan(table: string, columns: string): RegExp {
  return new RegExp(`Index (?:Only )?Scan(?: Backward)? using \\S*${columns}\\S* on ${table}`);
}

const metrics = String.raw`router_performance_metrics_\d{4}_\d{2}`;
const events = String.raw`agent_transformation_events_\d{4}_\d{2}`;

/** Every index of the three tables. The last query ends a month, so it comes last. */
export const needs: Need[] = [
  {
    index: "agent_definitions_active_key",
    query: "what a decision needs of this moment",
    plan: scan("agent_definitions", "active_key"),
    run: (db) =>
      look(db, ["agent-7", "agent-70"], { team: DEFAULT_TEAM, queues: [], silentSeconds: 900, inFlight: 10 }),
  },
  {
    index: "agent_definitions_pkey",
    query: "a version that is stored again",
    plan: scan("agent_definitions", "pkey"),
    run: (db) => {
      const definition = AgentDefinition.parse({ name: "agent-7" });
      return updateVersion(db, {
        team: DEFAULT_TEAM,
        definitionId: randomUUID(),
        queueUrl: null,
        definition,
        given: {},
        hash: "",
      });
    },
  },
  {
    index: "agent_definitions_version_key",
    query: "the versions of an agent, before one is stored",
    plan: scan("agent_definitions", "version_key"),
    run: (db) => findVersions(db, DEFAULT_TEAM, "agent-7"),
  },
  {
    index: "agent_definitions_capabilities_idx",
    query: "GET /agents?capability=",
    plan: /Bitmap Index Scan on agent_definitions_capabilities_idx/,
    run: (db) => findAgents(db, actor, { active: true, capability: "capability-7" }, 900),
  },
  {
    index: "router_performance_metrics_pkey",
    query: "feedback on a decision",
    plan: scan(metrics, "pkey"),
    run: (db, taskId) => giveFeedback(db, actor, settings, taskId, { score: 0.5, by: "ada" }),
  },
  {
    index: "router_performance_metrics_pkey",
    query: "outcome of a decision",
    plan: scan(metrics, "pkey"),
    run: (db, taskId) => learn(db, settings, [taskId]),
  },
  ...(["router-latency", "router-cache"] as const).map((name) => ({
    index: "router_performance_metrics_pkey",
    query: `report ${name}`,
    plan: scan(metrics, "pkey"),
    run: (db: Pool) => findReport(name).run(db, actor, {}),
  })),
  {
    index: "agent_transformation_events_task_id_idx",
    query: "the handovers of one piece of work",
    plan: scan(events, "task_id"),
    run: (db, taskId) => findHandovers(db, actor, taskId, { limit: 100, latest: true }),
  },
  {
    index: "agent_transformation_events_task_id_idx",
    query: "how often a run changed hands",
    plan: scan(events, "task_id"),
    run: (db, taskId) => countHandovers(db, taskId, taskId),
  },
  {
    index: "agent_transformation_events_pkey",
    query: "that the parent of a nested event is there",
    plan: scan(events, "pkey"),
    run: async (db, taskId) => {
      const names = { source: "agent-1", target: "agent-1", role: "reviewer", reason: null };
      const role = {
        eventId: randomUUID(),
        taskId,
        type: "sub_role",
        ...names,
        context: {},
        routed: null,
        error: null,
      } as const;
      await insertHandover(db, role);
    },
  },
  {
    index: "agent_transformation_events_parent_idx",
    query: "retention: what is nested under a month that goes",
    plan: scan(events, "parent"),
    run: (db) => keepPartitions(db, actor, { ...readSettings(seriesSettings, {}), retentionMonths: 11 }),
  },
];
