import * as z from "zod";
import { type Need, READER } from "../access/may.ts";
import { whole } from "../input/whole.ts";
import { text } from "../protocol/fields.ts";
import { AgentName, Uuid } from "../protocol/messages.ts";
import type { Route } from "../runtime/http/route.ts";
import { AgentDefinition } from "./definition.ts";
import { Agent, AgentDetails, Presence, ReportPresence, StoredAgent, Version } from "./schema.ts";

const params = z.object({ name: AgentName });
const flag = z.enum(["true", "false"]);
const isTrue = (word: string) => word === "true";
const KEEPER: Need = { role: "admin", scope: "agents:write" };
/** An agent for itself, and who looks after agents. */
const ITSELF: Need = { ...KEEPER, agents: "themselves" };
const unknown = { description: "There never was such an agent" };

export const putAgent = {
  method: "PUT",
  path: "/agents/{name}",
  operation: "putAgent",
  summary: "Store an agent's definition, as YAML or JSON; it is active from then on.",
  access: ITSELF,
  function: "manage-agent",
  repeatable: true,
  params,
  query: z.strictObject({
    allow_older: flag.default("false").transform(isTrue).describe("whether it may take the place of a higher version"),
    reactivate: flag.default("true").transform(isTrue).describe("whether it may bring back a deactivated agent"),
  }),
  body: AgentDefinition,
  bodyTypes: ["application/yaml", "text/yaml"],
  answers: {
    201: { description: "A new agent", schema: StoredAgent, headers: ["location"] },
    200: { description: "Changed, or as it was before: see `changed`", schema: StoredAgent },
    409: { description: "A higher version is active, or the agent must not come back" },
  },
} as const satisfies Route;

export const listAgents = {
  method: "GET",
  path: "/agents",
  operation: "listAgents",
  summary: "The agents by name, each in its active version or, where it is deactivated, its latest.",
  access: READER,
  function: "list-agents",
  query: z.strictObject({
    active: flag.transform(isTrue).optional(),
    capability: text(100).optional(),
    work_type: text(100).optional().describe("those that take this work"),
    limit: whole(1, 100).default(100),
    cursor: AgentName.optional().describe("next_cursor of the page before"),
  }),
  answers: {
    200: {
      description: "One page",
      schema: z.strictObject({ items: z.array(Agent), next_cursor: AgentName.nullable() }),
    },
  },
} as const satisfies Route;

export const getAgent = {
  method: "GET",
  path: "/agents/{name}",
  operation: "getAgent",
  summary: "One agent with its latest versions, what it has shown, whether it is there, and its work at this moment.",
  access: READER,
  function: "get-agent",
  params,
  answers: {
    200: { description: "The agent; active is false once it is deleted", schema: AgentDetails },
    404: unknown,
  },
} as const satisfies Route;

export const getVersions = {
  method: "GET",
  path: "/agents/{name}/versions",
  operation: "getAgentVersions",
  summary: "The versions of an agent, latest first.",
  access: READER,
  function: "get-agent",
  params,
  query: z.strictObject({
    limit: whole(1, 100).default(20),
    cursor: Uuid.optional().describe("next_cursor of the page before"),
  }),
  answers: {
    200: {
      description: "One page",
      schema: z.strictObject({ items: z.array(Version), next_cursor: Uuid.nullable() }),
    },
    404: unknown,
  },
} as const satisfies Route;

export const deleteAgent = {
  method: "DELETE",
  path: "/agents/{name}",
  operation: "deleteAgent",
  summary: "Deactivate an agent: it gets no new work; what it has is finished. Its history stays.",
  access: KEEPER,
  function: "manage-agent",
  repeatable: true,
  params,
  answers: { 200: { description: "The agent as it is now", schema: AgentDetails }, 404: unknown },
} as const satisfies Route;

export const reportPresence = {
  method: "POST",
  path: "/agents/{name}/presence",
  operation: "reportPresence",
  summary:
    "Say that an agent is there. One that was never heard of, or is silent for AGENT_PRESENCE_SECONDS, is not chosen.",
  access: ITSELF,
  function: "report-presence",
  repeatable: true,
  params,
  body: ReportPresence,
  answers: {
    200: { description: "Kept", schema: Presence },
    404: { description: "No active agent has this name" },
  },
} as const satisfies Route;

/** Every call about agents. */
export const agentRoutes = [listAgents, getAgent, getVersions, putAgent, deleteAgent, reportPresence] satisfies Route[];
