import * as z from "zod";
import { must } from "../protocol/faults.ts";
import { integer, readEnv } from "../runtime/env.ts";

/** What an agent process is told by its environment; docs/agents.md has the table. */
export type AgentSettings = {
  queueUrl: string;
  resultsUrl: string;
  /** The folder of the journal. */
  dataDir: string;
  /** Pieces of work at once. */
  concurrency: number;
  visibilitySeconds: number;
  pollSeconds: number;
  graceSeconds: number;
};

/** Reads the agent's environment. Throws a ConfigError that names every variable that is wrong. */
export function readAgentEnv(concurrency = 4, source?: NodeJS.ProcessEnv): AgentSettings {
  const AgentEnv = z.object({
    AGENT_QUEUE_URL: z.url(must("be the URL of this agent's queue")),
    RESULTS_QUEUE_URL: z.url(must("be the URL of the results queue")),
    WAYBILL_AGENT_DATA: z.string().default(".waybill/agents"),
    AGENT_CONCURRENCY: integer(1, 100, concurrency),
    AGENT_VISIBILITY_SECONDS: integer(2, 43_200, 30),
    AGENT_POLL_SECONDS: integer(1, 20, 3),
    AGENT_GRACE_SECONDS: integer(0, 3600, 8),
  });
  const env = readEnv(AgentEnv, source);
  return {
    queueUrl: env.AGENT_QUEUE_URL,
    resultsUrl: env.RESULTS_QUEUE_URL,
    dataDir: env.WAYBILL_AGENT_DATA,
    concurrency: env.AGENT_CONCURRENCY,
    visibilitySeconds: env.AGENT_VISIBILITY_SECONDS,
    pollSeconds: env.AGENT_POLL_SECONDS,
    graceSeconds: env.AGENT_GRACE_SECONDS,
  };
}
