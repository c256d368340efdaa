import { codeAgentSettings } from "../../agents/code/env.ts";
import { agentSettings } from "../../lib/agent-kit/transports/env.ts";
import { migrationSettings } from "../../lib/migrations/migrator.ts";
import { routerSettings, seriesSettings } from "../../lib/router/settings.ts";
import { agentQueueSettings, queueSettings } from "../../lib/runtime/aws/queue-settings.ts";
import { logSettings } from "../../lib/runtime/log.ts";
import { databaseSettings } from "../../lib/runtime/postgres/db.ts";
import type { Setting, Settings } from "../../lib/runtime/settings.ts";
import { shippedAgentsSettings } from "../../lib/wiring/database.ts";
import { llmSettings } from "../../lib/wiring/llm.ts";
import { workSettings } from "../../lib/work/settings.ts";
import { bridgeSettings } from "../../localstack/bridge/settings.ts";
import { localSettings } from "../../localstack/parts/local-settings.ts";

/** A variable as a person is told of it; `value` is its default, or such as it takes. */
type Told = { env: string; says: string; unit?: string; value: string; required: boolean };
type Section = { title: string; intro?: string; variables: Told[] };

/** Every variable, by what reads it: the rooms' own settings, and what other programs read from the same environment. */
const sections: Section[] = [
  {
    title: "database (functions, migrate, seed, report)",
    variables: [...told(databaseSettings), ...told(migrationSettings), ...told(shippedAgentsSettings)],
  },
  { title: "queues (functions)", variables: [...told(queueSettings), ...told(agentQueueSettings)] },
  {
    title: "handling of work (functions)",
    variables: [...told(workSettings), ...told(seriesSettings), ...told(logSettings)],
  },
  { title: "router (functions)", variables: told(routerSettings) },
  { title: "agents", variables: [...told(agentSettings), ...told(codeAgentSettings)] },
  {
    title: "bridge (localstack/bridge/main.ts, docs/queues.md)",
    variables: told(bridgeSettings),
  },
  {
    title: "AWS (the SDK's own)",
    variables: [
      other("AWS_REGION", "eu-central-1", "Region; on Lambda the runtime sets it, and the credentials."),
      other("AWS_PROFILE", "", "Credentials by profile, for a deploy."),
      other("AWS_ACCESS_KEY_ID", "", "Credentials by key: all three, or the first two."),
      other("AWS_SECRET_ACCESS_KEY", "", "See AWS_ACCESS_KEY_ID."),
      other("AWS_SESSION_TOKEN", "", "See AWS_ACCESS_KEY_ID."),
      other("AWS_ENDPOINT_URL_SQS", "", "Another SQS than AWS's, such as LocalStack on http://127.0.0.1:4566"),
      other("AWS_ENDPOINT_URL_SECRETS_MANAGER", "", "Another Secrets Manager, likewise."),
    ],
  },
  {
    title: "LLM gateway (docs/llm.md)",
    variables: [
      ...told(llmSettings),
      other(
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        "Where the vendors of the configuration that ships are.",
      ),
      other("OPENAI_BASE_URL", "https://api.openai.com/v1", "See ANTHROPIC_BASE_URL."),
      other("OLLAMA_BASE_URL", "http://127.0.0.1:11434/v1", "See ANTHROPIC_BASE_URL."),
      other("ANTHROPIC_API_KEY", "", "The vendors' keys, where no secret holds them."),
      other("OPENAI_API_KEY", "", "See ANTHROPIC_API_KEY."),
    ],
  },
  { title: "local stack (npm start, serverless offline)", variables: told(localSettings) },
  {
    title: "docker compose: passwords and ports",
    intro: "Passwords go into URLs as they are; the ports are on 127.0.0.1.",
    variables: [
      other("POSTGRES_PASSWORD", "waybill", "Of the database."),
      other("POSTGRES_PORT", "54329", "Of the database."),
      other("RABBITMQ_PASSWORD", "waybill", "Of the broker."),
      other("RABBITMQ_PORT", "5673", "Of the broker."),
      other("RABBITMQ_MANAGEMENT_PORT", "15673", "Of the broker's pages."),
      other("LOCALSTACK_PORT", "4566", "Of SQS and Secrets Manager."),
      other("OLLAMA_PORT", "11434", "Of the local models."),
      other("LITELLM_PORT", "4000", "Of LiteLLM."),
      other("HTTP_PORT", "3000", "Of Waybill's HTTP API."),
      other("LLM_STREAM_PORT", "3003", "Of the LLM gateway's streaming URL."),
      other(
        "LITELLM_MASTER_KEY",
        "sk-local",
        "The key that callers of LiteLLM show; the keys of the vendors behind it are those of the LLM gateway above.",
      ),
    ],
  },
];

function told(settings: Settings): Told[] {
  return Object.values(settings).map(({ env, says, unit, required, ...more }: Setting<unknown>) => ({
    env,
    says,
    ...(unit === undefined ? {} : { unit }),
    value: more.default ?? more.example ?? "",
    required,
  }));
}

function other(env: string, value: string, says: string): Told {
  return { env, says, value, required: false };
}

const HEAD =
  "Every variable, with its default where it has one. Made of the settings' declarations by npm run generate; do not edit. A deploy sets them in serverless.yml, `npm start` and `npm run demo` set what they need by themselves. `docker compose` reads a copy of this file named .env; other programs read the environment:";

/** A variable that two programs read is told once, where it comes first; with its default, if either has one. */
function onceEach(all: Section[]): Section[] {
  const known = new Map<string, Told>();
  return all.map((section) => ({
    ...section,
    variables: section.variables.filter((variable) => {
      const before = known.get(variable.env);
      if (before === undefined) known.set(variable.env, variable);
      else if (before.value === "") before.value = variable.value;
      return before === undefined;
    }),
  }));
}

/** .env.example: every variable commented out, with its words above it. */
export function envExample(): string {
  const head = [...comment(HEAD), "#   set -a; . ./.env; set +a"];
  const parts = onceEach(sections).map(({ title, intro, variables }) => [
    "",
    `# --- ${title}`,
    ...(intro === undefined ? [] : comment(intro)),
    ...variables.flatMap(({ env, says, unit, value }) => [...comment(sentence(says, unit)), `#${env}=${value}`]),
  ]);
  return `${[head, ...parts].flat().join("\n")}\n`;
}

/** The tables of docs/configuration.md, a section each. */
export function settingsTables(): string {
  const parts = onceEach(sections).map(({ title, intro, variables }) => [
    `### ${title.charAt(0).toUpperCase()}${title.slice(1)}`,
    "",
    ...(intro === undefined ? [] : [intro, ""]),
    "| variable | default | what it does |",
    "| --- | --- | --- |",
    ...variables.map(({ env, says, unit, value, required }) => {
      const shown = required ? "required" : value === "" ? "none" : `\`${value}\``;
      return `| \`${env}\` | ${shown} | ${sentence(says, unit).replaceAll("|", "\\|")} |`;
    }),
    "",
  ]);
  return parts.flat().join("\n");
}

function sentence(says: string, unit: string | undefined): string {
  return unit === undefined ? says : `${says} Unit: ${unit}.`;
}

/** A text as comment lines of at most 100 characters. */
function comment(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length + 1 > 100) lines.push(`# ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
