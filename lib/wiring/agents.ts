import type { Surroundings } from "../registry/agents.ts";
import { routerSettings } from "../router/settings.ts";
import { readQueues } from "../runtime/aws/queue-env.ts";
import { readSettings } from "../runtime/settings.ts";
import { howToCreate } from "./agent-queues.ts";

/** What the entry points about agents share. */
export const surroundings: Surroundings = {
  queues: readQueues().agents,
  silentSeconds: readSettings(routerSettings).presenceSeconds,
  howToCreate,
};
