import * as z from "zod";
import { must } from "../lib/input/faults.ts";
import { whole } from "../lib/input/whole.ts";
import { databaseSettings } from "../lib/runtime/postgres/db.ts";
import type { Setting, Settings } from "../lib/runtime/settings.ts";
import { rooms } from "../lib/wiring/settings.ts";
import { AGENTS } from "./agents.ts";
import { resourceOf } from "./queues.ts";

/** One thing that can be set of a stage, in deploy/stages/NAME.yml or by --param. */
export type Parameter = {
  name: string;
  /** What it does, as a sentence or two. */
  says: string;
  /** What it is where nothing is said, as it stands in YAML; undefined: the code's own default counts. */
  default?: string | undefined;
  /** The default in words, where it is the code's. */
  otherwise?: string | undefined;
  /** Refuses a text that is no value of it. */
  takes: z.ZodType;
  /** A list in YAML does, too. */
  many?: true;
  /** The variable of the functions' environment that it becomes. */
  env?: string;
};

const QUEUE_PREFIX = /^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/;
const list = (item: RegExp, what: string): Pick<Parameter, "takes" | "many"> => ({
  takes: z.string().refine((text) => text === "" || text.split(",").every((one) => item.test(one.trim())), must(what)),
  many: true,
});

/** A rate and a burst of API Gateway. */
function throttle(name: string, rate: string, burst: string, what: string): Parameter[] {
  const calls = whole(1, 10_000);
  return [
    { name: `${name}Rate`, default: rate, takes: calls, says: `How often ${what}: calls a second; 429 beyond it.` },
    { name: `${name}Burst`, default: burst, takes: calls, says: `How many calls at once may go beyond ${name}Rate.` },
  ];
}

/** The days that CloudWatch offers to keep logs for (PutRetentionPolicy). */
const LOG_DAYS = "1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653".split(" ");

/** What a deployment has beside the settings of the functions. */
const own: Parameter[] = [
  {
    name: "prefix",
    default: "waybill-${sls:stage}",
    takes: z.string().regex(QUEUE_PREFIX, must("be 1 to 40 letters, digits, - and _")),
    says: "Begins the names of the queues, so that two stages fit into one account. With another one the queues are other ones too.",
    env: "AGENT_QUEUE_PREFIX",
  },
  {
    name: "databaseUrl",
    default: "{{resolve:ssm:/waybill/${sls:stage}/database-url}}",
    takes: databaseSettings.url.schema,
    says: "Connection string without a password: by default what an SSM parameter holds when the stage is deployed.",
    env: "DATABASE_URL",
  },
  {
    name: "databaseSecretArn",
    default: "{{resolve:ssm:/waybill/${sls:stage}/database-secret-arn}}",
    takes: z.string().startsWith("arn:", must("be the ARN of a secret")),
    says: "The secret that holds the database's password, bare or as RDS's JSON, of which the password alone is read: the user is that of databaseUrl.",
    env: "DATABASE_SECRET_ARN",
  },
  {
    name: "authorization",
    default: "KEYS",
    takes: z.enum(
      ["KEYS", "AWS_IAM"],
      must("be KEYS or AWS_IAM; NONE is no more: leave it out, and have a key made for each caller"),
    ),
    says: "KEYS: callers show a key of Waybill's, or a token of OIDC_ISSUER. AWS_IAM: callers sign their requests, and IAM policies decide which calls they make.",
  },
  {
    name: "authorizerSeconds",
    default: "60",
    takes: whole(0, 3600),
    says: "With KEYS: for how long API Gateway keeps who calls, at most 3600; so long a membership that has ended is still good.",
  },
  {
    name: "alarmEmail",
    default: "",
    takes: z.union([z.literal(""), z.email()], must("be an e-mail address")),
    says: "Gets the alarms by e-mail, once whoever reads it has confirmed; nobody where it is empty.",
  },
  {
    name: "network",
    default: "public",
    takes: z.enum(["public", "vpc"]),
    says: "vpc: the functions are in subnets, which need a way to the database, SQS, Secrets Manager and the LLM vendors.",
  },
  {
    name: "subnetIds",
    default: "",
    ...list(/^subnet-\w+$/, "be subnet-… with commas between them"),
    says: "With vpc: the subnets, with commas between them.",
  },
  {
    name: "securityGroupIds",
    default: "",
    ...list(/^sg-\w+$/, "be sg-… with commas between them"),
    says: "With vpc: the security groups, with commas between them.",
  },
  {
    name: "llmConfig",
    default: "llm.config.yaml",
    takes: z.string().min(1),
    says: "The file that configures the LLM gateway; it goes into its functions' packages.",
  },
  {
    name: "llmSecretArns",
    default: "",
    ...list(/^arn:/, "be ARNs with commas between them, * allowed"),
    says: "Secrets that the LLM gateway may read beside this stage's own, waybill/STAGE/llm/…: ARNs with commas between them, * allowed.",
  },
  {
    name: "kmsKeyArns",
    default: "",
    ...list(/^arn:[^:]+:kms:/, "be ARNs of KMS keys with commas between them"),
    says: "KMS keys of yours that lock the secrets, or the queues of agents of yours: ARNs with commas between them.",
  },
  ...throttle("request", "100", "200", "each route may be called, by all callers together"),
  ...throttle(
    "openRequest",
    "5",
    "10",
    "each route that anybody may call may be: /health, /openapi.json, /.well-known/jwks.json, and the unknown paths",
  ),
  {
    name: "deletionProtection",
    default: "false",
    takes: z.enum(["true", "false"]),
    says: "true: CloudFormation refuses to delete the stack.",
  },
  {
    name: "logRetentionDays",
    default: "30",
    takes: z.enum(LOG_DAYS),
    says: "How long CloudWatch keeps the logs; one of the numbers of days that it offers, such as 7, 30, 90 or 365.",
  },
  {
    name: "nodeOptions",
    default: "",
    takes: z.string(),
    says: "NODE_OPTIONS of the functions. --enable-source-maps names our lines in stack traces, and adds a seventh to a cold start.",
    env: "NODE_OPTIONS",
  },
];

/** The settings that functions read, as they declare them. */
const read: Setting<unknown>[] = [databaseSettings, ...Object.values(rooms)].flatMap((room: Settings) =>
  Object.values(room),
);

/** Variables that the shipped llm.config.yaml names, and that are no secrets. */
const LLM_ADDRESSES = ["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "OLLAMA_BASE_URL"];

/** What a deployment gives the functions by itself, in CloudFormation's words: nobody sets these. */
const GIVEN: Record<string, unknown> = {
  WORK_QUEUE_URL: { Ref: "WorkQueue" },
  RESULTS_QUEUE_URL: { Ref: "ResultsQueue" },
  AGENT_QUEUES: {
    "Fn::Sub": JSON.stringify(Object.fromEntries(AGENTS.map((agent) => [agent, `\${${resourceOf(agent)}Queue}`]))),
  },
  SIGNING_SECRET_ARN: { Ref: "SigningSecret" },
  WAYBILL_STAGE: "${sls:stage}",
};

/** What a deployment has a secret for: a text of it in the environment would be read by whoever may look at a function. */
const SECRET = ["SIGNING_SECRET", "SIGNING_SECRET_PREVIOUS"];

const named = new Set(own.map(({ env }) => env));
const settable = read.filter(({ env }) => !named.has(env) && !Object.hasOwn(GIVEN, env) && !SECRET.includes(env));

/** Everything that can be set of a stage, in the order in which it is told. */
export const parameters: readonly Parameter[] = [
  ...own,
  ...settable.map(ofSetting),
  ...LLM_ADDRESSES.map((env) => {
    const vendor = env.replace(/_.*/, "").toLowerCase();
    return { name: parameterOf(env), says: `Where llm.config.yaml finds ${vendor}.`, takes: z.url(), env };
  }),
];

function ofSetting({ env, says, unit, default: code, otherwise, schema }: Setting<unknown>): Parameter {
  const said = unit === undefined ? says : `${says} Unit: ${unit}.`;
  return { name: parameterOf(env), says: said, otherwise: code ?? otherwise, takes: schema, env };
}

/** The parameter of a variable: LEASE_SECONDS is leaseSeconds. */
export function parameterOf(env: string): string {
  return env.toLowerCase().replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** The environment of every function: each variable with its parameter, or with what the deployment gives it. */
export function environmentOf(): Record<string, unknown> {
  const set = parameters.flatMap(({ name, env, default: usual }) =>
    env === undefined ? [] : [[env, usual === undefined ? `\${param:${name}, null}` : `\${param:${name}}`]],
  );
  return { ...Object.fromEntries(set), ...GIVEN };
}
