import { codeAgentSettings } from "../../agents/code/env.ts";
import { agentSettings } from "../../lib/agent-kit/transports/env.ts";
import { logSettings } from "../../lib/runtime/log.ts";
import { databaseSettings } from "../../lib/runtime/postgres/db.ts";
import type { Settings } from "../../lib/runtime/settings.ts";
import { llmSettings } from "../../lib/wiring/llm.ts";
import { rooms } from "../../lib/wiring/settings.ts";
import { bridgeSettings } from "../../localstack/bridge/settings.ts";
import { localSettings } from "../../localstack/parts/local-settings.ts";

/** What docker-compose.yml decides: addresses and names inside the containers, and folders of their images. */
export const DECIDED_BY_COMPOSE = [
  "DATABASE_URL",
  "DATABASE_SECRET_ARN",
  "WORK_QUEUE_URL",
  "RESULTS_QUEUE_URL",
  "AGENT_QUEUES",
  "AGENT_QUEUE_URL",
  "AGENT_TRANSPORT",
  "RABBITMQ_URL",
  "BRIDGE_HOST",
  "WAYBILL_API_URL",
  "WAYBILL_API_KEY",
  "WAYBILL_API_KEY_FILE",
  "WAYBILL_API_SIGN",
  "WAYBILL_STAGE",
  "WAYBILL_DATA",
  "WAYBILL_AGENT_DATA",
  "WAYBILL_CODE_FOLDERS",
  "LLM_CONFIG",
];

/** Where the vendors of llm.config.yaml are, and their keys. */
const VENDORS = ["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"];

/** Which variables of .env reach which containers, by the anchor that docker-compose.yml merges. */
export const reaching: Record<string, string[]> = {
  database: of(databaseSettings, logSettings),
  functions: [...of(...Object.values(rooms), localSettings, llmSettings), ...VENDORS],
  agent: of(agentSettings, logSettings),
  "agent-code": of(codeAgentSettings),
  bridge: of(bridgeSettings, logSettings),
};

function of(...settings: Settings[]): string[] {
  const names = settings.flatMap((some) => Object.values(some).map(({ env }) => env));
  return [...new Set(names)].filter((name) => !DECIDED_BY_COMPOSE.includes(name));
}

/** The part of docker-compose.yml that hands the settings of .env on; the defaults stay those of the code. */
export function composeSettings(): string {
  const parts = Object.entries(reaching).map(([name, variables]) => [
    `x-${name}-settings: &${name}-settings`,
    ...variables.map((variable) => `  ${variable}: \${${variable}:-}`),
  ]);
  return `${parts.flat().join("\n")}\n`;
}
