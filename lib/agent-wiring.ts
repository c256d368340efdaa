import { howToCreate } from "./agent-queues.ts";
import type { Surroundings } from "./registry/agents.ts";
import { RouterSettings } from "./registry/settings.ts";
import { readEnv } from "./runtime/env.ts";
import { readQueues } from "./runtime/queue-env.ts";

/** What the entry points about agents share. */
export const surroundings: Surroundings = {
  queues: readQueues().agents,
  silentSeconds: readEnv(RouterSettings).AGENT_PRESENCE_SECONDS,
  howToCreate,
};
