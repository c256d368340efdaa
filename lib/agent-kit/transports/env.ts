import { readFileSync } from "node:fs";
import * as z from "zod";
import { ConfigError } from "../../errors.ts";
import { must } from "../../input/faults.ts";
import { whole } from "../../input/whole.ts";
import { prefixOf } from "../../protocol/api-key.ts";
import { readSettings, setting, type Values } from "../../runtime/settings.ts";
import type { Api } from "./api.ts";

/** What an agent process is told by its environment; docs/agents.md has the table. */
export type AgentSettings = {
  queue: SqsQueue | AmqpQueue;
  /** The folder of the journal. */
  dataDir: string;
  /** Pieces of work at once. */
  concurrency: number;
  visibilitySeconds: number;
  pollSeconds: number;
  graceSeconds: number;
  /** Where it registers; nowhere where that is not known. */
  api?: Api | undefined;
  /** Its own key, with which it signs. */
  key?: string | undefined;
  /** The control plane's public keys, where they are given; else they are asked of the API. */
  trusted: readonly Uint8Array[];
};

/** What it reads however its messages come. */
type Common = Pick<
  Values<typeof agentSettings>,
  | "dataDir"
  | "concurrency"
  | "visibilitySeconds"
  | "pollSeconds"
  | "graceSeconds"
  | "apiUrl"
  | "apiKey"
  | "apiKeyFile"
  | "apiSign"
  | "presenceSeconds"
  | "trusted"
>;

/** Where an agent's messages are with SQS. */
export type SqsQueue = { transport: "sqs"; queueUrl: string; resultsUrl: string };

/** Where they are with AMQP: the names follow from the agent's own. */
export type AmqpQueue = { transport: "amqp"; url: string; prefix: string; ackSeconds: number };

/** Pieces of work at once, where neither the environment nor the agent says it. */
const CONCURRENCY = 4;

/** What names on the broker may begin with. */
export const brokerPrefix = z.string().regex(/^[\w.:-]{0,100}$/, must("be at most 100 letters, digits and _ . : -"));

const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const PUBLIC_KEYS = /^[\w-]{43}(?:,[\w-]{43})*$/;

/** The variables that an agent reads. */
export const agentSettings = {
  transport: setting({
    env: "AGENT_TRANSPORT",
    says: "How messages come and go: sqs or amqp.",
    takes: z.enum(["sqs", "amqp"]),
    default: "sqs",
  }),
  queueUrl: setting({
    env: "AGENT_QUEUE_URL",
    says: "With sqs: the queue of this agent.",
    takes: z.url({ protocol: /^https?$/, ...must("be the URL of this agent's queue") }),
    example: "https://…/waybill-agent-code",
    or: "RABBITMQ_URL",
  }),
  resultsUrl: setting({
    env: "RESULTS_QUEUE_URL",
    says: "With sqs: the queue on which agents answer.",
    takes: z.url({ protocol: /^https?$/, ...must("be the URL of the results queue") }),
  }),
  rabbitUrl: setting({
    env: "RABBITMQ_URL",
    says: "With amqp: the broker. The bridge reads it too, and has amqp://guest:guest@127.0.0.1:5672 where it is not set.",
    takes: z.url({ protocol: /^amqps?$/, ...must("be the broker's URL, such as amqp://user:password@host:5672") }),
    example: "amqp://guest:guest@127.0.0.1:5672",
    or: "AGENT_QUEUE_URL",
  }),
  rabbitPrefix: setting({
    env: "RABBITMQ_PREFIX",
    says:
      "With amqp: what the names on the broker begin with. npm start -- --queue rabbitmq makes it of its data folder unless it is " +
      "set here, and prints it for agents of yours.",
    takes: brokerPrefix,
    default: "",
  }),
  ackSeconds: setting({
    env: "AMQP_ACK_SECONDS",
    says: "With amqp: a message in hand is acked after this long at the latest; the broker's consumer_timeout (30 min) must be longer.",
    unit: "seconds",
    takes: whole(1, 86_400),
    default: "600",
  }),
  dataDir: setting({
    env: "WAYBILL_AGENT_DATA",
    says: "Folder of an agent's journal, by which it answers a repeated request instead of doing it again. Keep it between starts.",
    takes: z.string(),
    default: ".waybill/agents",
  }),
  concurrency: setting({
    env: "AGENT_CONCURRENCY",
    says: "How much an agent does at once. An agent may have a default of its own.",
    unit: "pieces of work",
    takes: whole(1, 100),
    optional: true,
    otherwise: String(CONCURRENCY),
  }),
  visibilitySeconds: setting({
    env: "AGENT_VISIBILITY_SECONDS",
    says: "How long a message that an agent has received stays invisible; it is prolonged while needed.",
    unit: "seconds",
    takes: whole(2, 43_200),
    default: "30",
  }),
  pollSeconds: setting({
    env: "AGENT_POLL_SECONDS",
    says: "How long one call of an agent waits for messages; npm start says 1.",
    unit: "seconds",
    takes: whole(1, 20),
    default: "3",
  }),
  graceSeconds: setting({
    env: "AGENT_GRACE_SECONDS",
    says: "How long a stopping agent may finish its work, before it hands the rest back; npm start says 2.",
    unit: "seconds",
    takes: whole(0, 3600),
    default: "8",
  }),
  apiUrl: setting({
    env: "WAYBILL_API_URL",
    says: "Waybill's HTTP API, where an agent registers and says that it is there; npm start gives it to its agents.",
    takes: z.url({ protocol: /^https?$/, ...must("be the URL of Waybill's HTTP API") }),
    optional: true,
    example: "http://127.0.0.1:3000",
  }),
  apiKey: setting({
    env: "WAYBILL_API_KEY",
    says: "The key for WAYBILL_API_URL, by which an agent is told from others and the command waybill calls; npm start gives each of its agents one of its own.",
    takes: z
      .string()
      .refine(
        (text) => prefixOf(text) !== undefined || TOKEN.test(text),
        must("be a key (wb_…) or a token of OIDC (a JWT)"),
      ),
    optional: true,
    example: "wb_…",
  }),
  apiKeyFile: setting({
    env: "WAYBILL_API_KEY_FILE",
    says: "The file that holds the key for WAYBILL_API_URL, where WAYBILL_API_KEY is not set, such as a secret of Docker's.",
    takes: z.string(),
    optional: true,
    example: "/run/secrets/waybill",
  }),
  apiSign: setting({
    env: "WAYBILL_API_SIGN",
    says: "Whether calls of WAYBILL_API_URL are signed with AWS credentials, for stages whose authorization is AWS_IAM; by default on hosts of amazonaws.com where there is no key.",
    takes: z.enum(["true", "false"]),
    optional: true,
  }),
  trusted: setting({
    env: "CONTROL_PLANE_KEYS",
    says:
      "The control plane's public keys, for an agent that does not ask WAYBILL_API_URL for them: the x of each key of " +
      "GET /.well-known/jwks.json, with commas between them.",
    takes: z
      .string()
      .regex(PUBLIC_KEYS, must("be Ed25519 public keys in base64url, 43 characters each, with commas between them"))
      .transform((text) => text.split(",").map((key) => Buffer.from(key, "base64url"))),
    optional: true,
  }),
  presenceSeconds: setting({
    env: "AGENT_PRESENCE_EVERY_SECONDS",
    says: "How often an agent says that it is there; well below AGENT_PRESENCE_SECONDS.",
    unit: "seconds",
    takes: whole(1, 3600),
    default: "60",
  }),
};

/**
 * Reads the agent's environment; `concurrency` counts where AGENT_CONCURRENCY is not set. Throws a ConfigError that names every
 * variable that is wrong.
 */
export function readAgentEnv(concurrency = CONCURRENCY, source?: NodeJS.ProcessEnv): AgentSettings {
  const { transport, queueUrl, resultsUrl, rabbitUrl, rabbitPrefix, ackSeconds, ...common } = agentSettings;
  if (readSettings({ transport }, source).transport === "amqp") {
    const env = readSettings({ rabbitUrl, rabbitPrefix, ackSeconds, ...common }, source);
    const queue = { url: env.rabbitUrl, prefix: env.rabbitPrefix, ackSeconds: env.ackSeconds };
    return settingsOf({ transport: "amqp", ...queue }, env, concurrency);
  }
  const env = readSettings({ queueUrl, resultsUrl, ...common }, source);
  return settingsOf({ transport: "sqs", queueUrl: env.queueUrl, resultsUrl: env.resultsUrl }, env, concurrency);
}

function settingsOf(queue: AgentSettings["queue"], env: Common, concurrency: number): AgentSettings {
  const key = keyOf(env);
  return {
    queue,
    dataDir: env.dataDir,
    concurrency: env.concurrency ?? concurrency,
    visibilitySeconds: env.visibilitySeconds,
    pollSeconds: env.pollSeconds,
    graceSeconds: env.graceSeconds,
    api: apiOf(env, key),
    key,
    trusted: env.trusted ?? [],
  };
}

/** API Gateway's own hosts are asked with signatures where there is no key, unless told otherwise. */
function apiOf(
  { apiUrl: url, apiSign, presenceSeconds: everySeconds }: Common,
  key: string | undefined,
): Api | undefined {
  if (url === undefined) return undefined;
  const isAws = /\.amazonaws\.com(\.cn)?$/.test(new URL(url).hostname);
  const sign = apiSign === undefined ? isAws && key === undefined : apiSign === "true";
  return { url, key, sign, everySeconds };
}

function keyOf({ apiKey, apiKeyFile }: Pick<Common, "apiKey" | "apiKeyFile">): string | undefined {
  return apiKey ?? (apiKeyFile === undefined ? undefined : keyIn(apiKeyFile));
}

function keyIn(file: string): string {
  try {
    return agentSettings.apiKey.schema.parse(readFileSync(file, "utf8").trim()) ?? "";
  } catch (cause) {
    throw new ConfigError(`WAYBILL_API_KEY_FILE must be a file with a key in it; ${file} is none that can be read.`, {
      cause,
    });
  }
}
