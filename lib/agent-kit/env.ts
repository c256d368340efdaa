import * as z from "zod";
import { must } from "../protocol/faults.ts";
import { integer, readEnv } from "../runtime/env.ts";
import type { Api } from "./api.ts";

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
  /** Where it registers; nowhere where that is not known. */
  api?: Api | undefined;
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
    WAYBILL_API_URL: z.url({ protocol: /^https?$/, ...must("be the URL of Waybill's HTTP API") }).optional(),
    WAYBILL_API_SIGN: z.enum(["true", "false"]).optional(),
    AGENT_PRESENCE_EVERY_SECONDS: integer(1, 3600, 60),
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
    api: apiOf(env.WAYBILL_API_URL, env.WAYBILL_API_SIGN, env.AGENT_PRESENCE_EVERY_SECONDS),
  };
}

/** API Gateway's own hosts are asked with signatures unless told otherwise. */
function apiOf(url: string | undefined, sign: "true" | "false" | undefined, everySeconds: number): Api | undefined {
  if (url === undefined) return undefined;
  const isAws = /\.amazonaws\.com(\.cn)?$/.test(new URL(url).hostname);
  return { url, sign: sign === undefined ? isAws : sign === "true", everySeconds };
}
