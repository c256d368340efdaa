import { createHash } from "node:crypto";
import { uuidv7 } from "../../../lib/runtime/ids.ts";
import type { Db } from "../../../lib/runtime/postgres/db.ts";
import { TEAM } from "./actor.ts";

export type TestAgent = {
  name: string;
  capabilities?: string[];
  triggers?: ({ phrase: string } | { pattern: string })[];
  work_types?: string[];
  limits?: { concurrency?: number; per_key?: number; rate?: { count: number; per_seconds: number } };
  presence?: "reported" | "assumed";
  routable?: boolean;
  queue?: string;
  /** Whether a process of it has been heard of; it has. */
  heard?: boolean;
  /** Whose it is. */
  team?: string;
};

/** Puts agents into the registry, or changes them there: present, each with a queue. */
export async function defineAgents(db: Db, ...agents: TestAgent[]): Promise<void> {
  for (const agent of agents) {
    const {
      name,
      capabilities = [],
      triggers = [],
      work_types = ["*"],
      limits = {},
      routable = true,
      team = TEAM,
    } = agent;
    const definition = {
      name,
      version: "1.0.0",
      description: `does what ${name} does`,
      capabilities,
      triggers,
      work_types,
      limits: { per_key: 1, ...limits },
      cost: {},
      presence: agent.presence ?? "reported",
      routable,
      routing: { projects: [], environments: [], languages: [], files: [], after: [] },
    };
    const phrases = triggers.map((trigger) => ("phrase" in trigger ? trigger.phrase : `/${trigger.pattern}/`));
    const hash = createHash("sha256").update(JSON.stringify(definition)).digest("hex");
    await db`
      insert into agent_definitions (
        definition_id, team_id, agent_name, agent_version, yaml_config, parsed_metadata, capabilities, triggers, definition_hash,
        queue_url, active, routable
      ) values (
        ${uuidv7()}, ${team}, ${name}, '1.0.0', ${db.json(definition)}, ${db.json(definition)}, ${capabilities}, ${phrases}, ${hash},
        ${agent.queue ?? `http://queue.test/${name}`}, true, ${routable}
      )
      on conflict on constraint agent_definitions_version_key do update set
        yaml_config = excluded.yaml_config, parsed_metadata = excluded.parsed_metadata,
        capabilities = excluded.capabilities, triggers = excluded.triggers, definition_hash = excluded.definition_hash,
        active = true, routable = excluded.routable
    `;
    if (agent.heard !== false)
      await db`
      insert into agent_presence (team_id, agent_name, seen_at) values (${team}, ${name}, now() + interval '1 day')
      on conflict on constraint agent_presence_pkey do nothing
    `;
  }
}
