import type { Surroundings } from "../registry/agents.ts";
import { RouterSettings } from "../router/score/settings.ts";
import { readQueues } from "../runtime/aws/queue-env.ts";
import { readEnv } from "../runtime/env.ts";
import { howToCreate } from "./agent-queues.ts";

/** What the entry points about agents share. */
export const surroundings: Surroundings = {
  queues: readQueues().agents,
  silentSeconds: readEnv(RouterSettings).AGENT_PRESENCE_SECONDS,
  howToCreate,
};
