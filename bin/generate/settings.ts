import { codeAgentSettings } from "../../agents/code/env.ts";
import { cliSettings } from "../../cli/settings.ts";
import { identitySettings } from "../../lib/access/identity/settings.ts";
import { signingSettings } from "../../lib/access/signing/settings.ts";
import { agentSettings } from "../../lib/agent-kit/transports/env.ts";
import { migrationSettings } from "../../lib/migrations/migrator.ts";
import { routerSettings, seriesSettings } from "../../lib/router/settings.ts";
import { agentQueueSettings, queueSettings } from "../../lib/runtime/aws/queue-settings.ts";
import { corsSettings } from "../../lib/runtime/http/cors.ts";
import { logSettings } from "../../lib/runtime/log.ts";
import { databaseSettings } from "../../lib/runtime/postgres/db.ts";
import type { Setting, Settings } from "../../lib/runtime/settings.ts";
import { shippedAgentsSettings } from "../../lib/wiring/database.ts";
import { llmSettings } from "../../lib/wiring/llm.ts";
import { workSettings } from "../../lib/work/settings.ts";
import { bridgeSettings } from "../../localstack/bridge/settings.ts";
import { localSettings } from "../../localstack/parts/local-settings.ts";
import { DECIDED_BY_COMPOSE } from "./compose.ts";
import { comment } from "./words.ts";

/** A variable as a person is told of it. `value` is its default, empty where it has none; `or` may be set in its place. */
type Told = {
  env: string;
  says: string;
  unit?: string | undefined;
  value: string;
  example?: string | undefined;
  or?: string | undefined;
  required: boolean;
};
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
  { title: "who calls (functions, docs/access.md)", variables: [...told(identitySettings), ...told(corsSettings)] },
  { title: "what agents are told, and what they say (functions, docs/access.md)", variables: told(signingSettings) },
  { title: "router (functions)", variables: told(routerSettings) },
  { title: "the command waybill (docs/use.md)", variables: told(cliSettings) },
  { title: "agents", variables: [...told(agentSettings), ...told(codeAgentSettings)] },
  {
    title: "bridge (localstack/bridge/main.ts, docs/queues.md)",
    variables: told(bridgeSettings),
  },
  {
    title: "AWS (the SDK's own)",
    variables: [
      other("AWS_REGION", "eu-central-1", "The region of AWS; on Lambda the runtime sets it, and the credentials."),
      other("AWS_PROFILE", "", "Credentials by profile, for a deploy."),
      other(
        "AWS_ACCESS_KEY_ID",
        "",
        "Credentials by key: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN where they are temporary.",
      ),
      other("AWS_SECRET_ACCESS_KEY", "", "The secret of AWS_ACCESS_KEY_ID."),
      other("AWS_SESSION_TOKEN", "", "The token of temporary credentials, beside AWS_ACCESS_KEY_ID."),
      other("AWS_ENDPOINT_URL", "", "All of another AWS than Amazon's, such as an emulator that a deploy is tried on."),
      other("AWS_ENDPOINT_URL_SQS", "", "Another SQS than AWS's, such as LocalStack on http://127.0.0.1:4566"),
      other(
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "",
        "Another Secrets Manager than AWS's, such as LocalStack on http://127.0.0.1:4566",
      ),
    ],
  },
  {
    title: "LLM gateway (docs/llm.md)",
    variables: [
      ...told(llmSettings),
      other("ANTHROPIC_BASE_URL", "https://api.anthropic.com", "Where llm.config.yaml, as it ships, finds Anthropic."),
      other("OPENAI_BASE_URL", "https://api.openai.com/v1", "Where llm.config.yaml, as it ships, finds OpenAI."),
      other(
        "OLLAMA_BASE_URL",
        "http://127.0.0.1:11434/v1",
        "Where llm.config.yaml, as it ships, finds Ollama; in containers http://ollama:11434/v1 where it is not set.",
      ),
      other("ANTHROPIC_API_KEY", "", "Anthropic's key, where no secret holds it."),
      other("OPENAI_API_KEY", "", "OpenAI's key, where no secret holds it."),
    ],
  },
  { title: "local stack (npm start, serverless offline)", variables: told(localSettings) },
  {
    title: "docker compose: passwords and ports",
    intro: "Passwords: letters, digits and . _ ~ - alone; a volume keeps its first. Ports are on 127.0.0.1.",
    variables: [
      other("POSTGRES_PASSWORD", "waybill", "The database's password."),
      other("POSTGRES_PORT", "54329", "The database's port."),
      other("RABBITMQ_PASSWORD", "waybill", "RabbitMQ's password."),
      other("RABBITMQ_PORT", "5673", "RabbitMQ's port."),
      other("RABBITMQ_MANAGEMENT_PORT", "15673", "The port of RabbitMQ's pages."),
      other("LOCALSTACK_PORT", "4566", "The port of LocalStack: SQS and Secrets Manager."),
      other("OLLAMA_PORT", "11434", "The port of Ollama, which runs local models."),
      other("LITELLM_PORT", "4000", "The port of LiteLLM."),
      other("HTTP_PORT", "3000", "The port of Waybill's HTTP API."),
      other("LLM_STREAM_PORT", "3003", "The port of the LLM gateway's streaming URL."),
      other(
        "LITELLM_MASTER_KEY",
        "sk-local",
        "The key that callers of LiteLLM show; the keys of the vendors behind it are those of the LLM gateway above.",
      ),
    ],
  },
];

function told(settings: Settings): Told[] {
  return Object.values(settings).map(({ env, says, unit, required, example, or, ...more }: Setting<unknown>) => ({
    env,
    says,
    unit,
    value: more.default ?? more.otherwise ?? "",
    example,
    or,
    required,
  }));
}

function other(env: string, value: string, says: string): Told {
  return { env, says, value, required: false };
}

const HEAD =
  "Every variable, with its default where it has one. Made of the settings' declarations by npm run generate; do not edit. A deploy sets them from deploy/stages/NAME.yml, `npm start` and `npm run demo` set what they need by themselves. `docker compose` reads a copy of this file named .env, and hands on all but what it decides itself: " +
  `${DECIDED_BY_COMPOSE.join(", ")}. Other programs read the environment:`;

/** A variable that two programs read is told once, where it comes first and as it is there. */
function onceEach(all: Section[]): Section[] {
  const known = new Set<string>();
  return all.map((section) => ({
    ...section,
    variables: section.variables.filter((variable) => {
      const before = known.has(variable.env);
      known.add(variable.env);
      return !before;
    }),
  }));
}

/** .env.example: every variable commented out with its default, if it has one, and with its words above it. */
export function envExample(): string {
  const head = [...comment(HEAD), "#   set -a; . ./.env; set +a"];
  const parts = onceEach(sections).map(({ title, intro, variables }) => [
    "",
    `# --- ${title}`,
    ...(intro === undefined ? [] : comment(intro)),
    ...variables.flatMap((variable) => [
      ...comment([sentence(variable), ...lacking(variable)].join(" ")),
      `#${variable.env}=${variable.value}`,
    ]),
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
    ...variables.map(
      (variable) => `| \`${variable.env}\` | ${shown(variable)} | ${sentence(variable).replaceAll("|", "\\|")} |`,
    ),
    "",
  ]);
  return parts.flat().join("\n");
}

function sentence({ says, unit }: Told): string {
  return unit === undefined ? says : `${says} Unit: ${unit}.`;
}

/** The default as the tables show it; an example is never shown as one. */
function shown({ env, value, example, or, required }: Told): string {
  if (value !== "") return `\`${value}\``;
  const none = required ? (or === undefined ? "required" : `one of \`${env}\` and \`${or}\``) : "none";
  return example === undefined ? none : `${none}, such as \`${example}\``;
}

/** What is said in .env.example of a variable without a default. */
function lacking({ env, value, example, or, required }: Told): string[] {
  if (value !== "") return [];
  return [
    ...(required && or !== undefined ? [`One of ${env} and ${or} is required.`] : []),
    ...(example === undefined ? [] : [`Such as ${example}`]),
  ];
}
