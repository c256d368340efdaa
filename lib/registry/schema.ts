import * as z from "zod";
import { text } from "../protocol/fields.ts";
import { AgentName } from "../protocol/messages.ts";
import { AgentDefinition } from "./definition.ts";

const Time = z.iso.datetime({ offset: true });
const Share = z.number().min(0).max(1).nullable();

const StoredDefinition = z
  .strictObject(AgentDefinition.shape)
  .meta({ id: "StoredDefinition", description: "as it was given, with the defaults filled in" });

const agent = {
  name: AgentName,
  version: z.string(),
  active: z.boolean().describe("false: no work goes to it"),
  definition: StoredDefinition,
  hash: z.string().describe("SHA-256 of what the definition means: another hash, another definition"),
  queue: z.strictObject({
    url: z.string().nullable(),
    status: z
      .enum(["ready", "missing", "undeliverable"])
      .describe(
        "missing: the agent has none; undeliverable: it has refused a message that still waits, as one that is gone does",
      ),
    todo: z.string().nullable().describe("what is wrong with it, and what to do"),
  }),
  presence: z.strictObject({
    present: z
      .boolean()
      .describe("false: no process of it has been heard of for AGENT_PRESENCE_SECONDS, or ever, and it is not chosen"),
    seen_at: Time.nullable().describe("the last report or message of a process; null: there was none yet"),
    instance: z.string().nullable(),
  }),
  success_rate: Share.describe("of all its work, decayed; null until work has ended"),
  quality_score: Share,
  avg_execution_time_ms: z.number().nullable(),
  created_at: Time,
  updated_at: Time.describe("when the definition changed"),
};

/** An agent in a list. */
export const Agent = z.strictObject(agent).meta({ id: "Agent" });
export type Agent = z.infer<typeof Agent>;

/** A version of an agent without its definition. */
export const Version = z.strictObject({
  version: z.string(),
  active: z.boolean(),
  hash: z.string(),
  created_at: Time,
  updated_at: Time,
});
export type Version = z.infer<typeof Version>;

const Shown = z.strictObject({
  work_type: z.string(),
  observations: z.number().describe("how much of what was observed still counts"),
  success_rate: Share,
  quality_score: Share,
  avg_execution_time_ms: z.number().nullable(),
  observed_at: Time,
});

/** An agent with its versions, what it has shown, and its work at this moment. */
export const AgentDetails = z
  .strictObject({
    ...agent,
    versions: z.array(Version).describe("latest first, of the latest 100"),
    performance: z.array(Shown).describe("by work type, of the latest 200"),
    counts: z
      .strictObject({ versions: z.int(), work_types: z.int() })
      .describe(
        "how many there are: /versions has the rest; types of work beyond 200 are forgotten with the next outcome",
      ),
    load: z.strictObject({ executing: z.int(), waiting: z.int() }),
  })
  .meta({ id: "AgentDetails" });
export type AgentDetails = z.infer<typeof AgentDetails>;

/** What PUT answers: the agent, and whether anything was written. */
export const StoredAgent = z
  .strictObject({ ...AgentDetails.shape, changed: z.boolean().describe("false: it was stored like this before") })
  .meta({ id: "StoredAgent" });

/** That an agent is there. */
export const ReportPresence = z
  .strictObject({ instance: text(200, 1).optional().describe("which process or machine it is") })
  .default({});

/** What is answered to it: when it was kept, by the database's clock. */
export const Presence = z.strictObject({ name: AgentName, seen_at: Time });
