import * as z from "zod";
import { RouterSettings } from "../router/score/settings.ts";
import { PartitionSettings } from "../router/series.ts";
import { agentQueueSettings, queueSettings } from "../runtime/aws/queue-settings.ts";
import { integer, readEnv } from "../runtime/env.ts";
import { readSettings, type Values } from "../runtime/settings.ts";
import { WorkSettings } from "../work/core/schema.ts";

export type PlaneSettings = {
  queues: Values<typeof queueSettings>;
  agentQueues: Values<typeof agentQueueSettings>;
  work: WorkSettings;
  router: RouterSettings;
  series: PartitionSettings;
  output: { OUTPUT_RESPONSE_BYTES: number };
};

/** Reads the settings of all rooms at once. Throws a ConfigError that names every variable that is wrong. */
export function readPlaneSettings(source?: NodeJS.ProcessEnv): PlaneSettings {
  return {
    queues: readSettings(queueSettings, source),
    agentQueues: readSettings(agentQueueSettings, source),
    work: readEnv(WorkSettings, source),
    router: readEnv(RouterSettings, source),
    series: readEnv(PartitionSettings, source),
    output: readEnv(z.object({ OUTPUT_RESPONSE_BYTES: integer(1_024, 1e9, 4_194_304) }), source),
  };
}
