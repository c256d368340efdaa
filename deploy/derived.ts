import { existsSync } from "node:fs";
import { ConfigError } from "../lib/errors.ts";
import { allow, arnHere, policy } from "./cloudformation.ts";
import { onlyOverTls } from "./queues.ts";

/** What a parameter is, as a text; empty where nothing is said. */
export type Given = (name: string) => Promise<string>;

/**
 * What of the template follows from the parameters: `${derived:NAME}`. By value, not by what the stage's file says, so that what the
 * framework has resolved meanwhile is judged. Throws a ConfigError; null where there is nothing.
 */
export const derived: Record<string, (given: Given) => Promise<unknown>> = {
  /** What is before the routes. An unknown word must not come to mean nobody. */
  guard: async (given) => GUARDS[await authorizationOf(given)],

  /** The same before those of the LLM gateway, which looks at keys itself. */
  gatewayGuard: async (given) =>
    (await authorizationOf(given)) === "KEYS" ? { AuthorizationType: "NONE" } : GUARDS.AWS_IAM,

  /** For how long API Gateway keeps who calls: a number, as CloudFormation hands it on as it is. */
  authorizerSeconds: async (given) => Number(await given("authorizerSeconds")),

  /** The same for function URLs, in the framework's word. */
  urlAuthorizer: async (given) => ((await authorizationOf(given)) === "AWS_IAM" ? "aws_iam" : null),

  /** The subnets of the functions that ask the database. */
  vpc: async (given) => {
    if (!(await isInVpc(given))) return null;
    const [subnetIds, securityGroupIds] = [listOf(await given("subnetIds")), listOf(await given("securityGroupIds"))];
    if (subnetIds.length === 0 || securityGroupIds.length === 0) {
      throw new ConfigError("network: vpc needs subnetIds and securityGroupIds. Set them in the stage's file.");
    }
    return { subnetIds, securityGroupIds };
  },

  /** To attach to the network; AWS keeps the list of what that takes. */
  networkPolicies: async (given) => {
    const name = "service-role/AWSLambdaENIManagementAccess";
    return (await isInVpc(given)) ? [{ "Fn::Sub": `arn:\${AWS::Partition}:iam::aws:policy/${name}` }] : [];
  },

  /** The LLM vendors' keys: of this stage, and what is named besides. */
  llmSecrets: async (given) => {
    const own = arnHere("secretsmanager", `secret:waybill/${await given("stage")}/llm/*`);
    return [own, ...listOf(await given("llmSecretArns"))];
  },

  /** What opens secrets and queues that keys of the customer's lock. */
  keysPolicy: async (given) => {
    const keys = listOf(await given("kmsKeyArns"));
    if (keys.length === 0) return { Ref: "AWS::NoValue" };
    return inRole("keys", allow(["kms:Decrypt", "kms:GenerateDataKey"], keys));
  },

  /** What makes the queues of agents, where the stage lets functions do that: without it the API answers with the command that does. */
  makeQueuesPolicy: async (given) => {
    if ((await given("agentQueueCreate")) !== "true") return { Ref: "AWS::NoValue" };
    const make = ["sqs:CreateQueue", "sqs:SetQueueAttributes", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"];
    return inRole("make-queues", allow(make, arnHere("sqs", `${await given("prefix")}-agent-*`)));
  },

  /** Queues that refuse whoever does not speak TLS; on an emulator at http:// that would be everybody. */
  queuePolicies: async (given) => ((await given("endpoint")).startsWith("http://") ? {} : { Resources: onlyOverTls() }),

  /** Who gets the alarms. */
  subscription: async (given) => {
    const Endpoint = await given("alarmEmail");
    if (Endpoint === "") return {};
    const Properties = { TopicArn: { Ref: "AlarmTopic" }, Protocol: "email", Endpoint };
    return { Resources: { AlarmEmail: { Type: "AWS::SNS::Subscription", Properties } } };
  },

  /** How often each route may be called, all callers together. */
  throttle: async (given) => await throttleOf(given, "requestRate", "requestBurst"),
  openThrottle: async (given) => await throttleOf(given, "openRequestRate", "openRequestBurst"),

  /** The files that every function's package has besides its code: the CA of the database, unless the runtime has it. */
  files: async (given) => {
    const ca = await given("databaseCa");
    if (ca === "" || ca.startsWith("/")) return [];
    if (existsSync(ca)) return [ca];
    throw new ConfigError(`databaseCa: there is no file ${ca}. Put it there; an absolute path is the runtime's.`);
  },
};

/** The properties of a route of API Gateway. */
const GUARDS = {
  KEYS: { AuthorizationType: "CUSTOM", AuthorizerId: { Ref: "KeyAuthorizer" } },
  AWS_IAM: { AuthorizationType: "AWS_IAM" },
};

/** A policy as a role has it. */
function inRole(PolicyName: string, statement: object): object {
  return { PolicyName, PolicyDocument: policy([statement]) };
}

async function authorizationOf(given: Given): Promise<"KEYS" | "AWS_IAM"> {
  const word = await given("authorization");
  if (word === "KEYS" || word === "AWS_IAM") return word;
  throw new ConfigError(`authorization must be KEYS or AWS_IAM, not ${word}. Correct it in the stage's file.`);
}

async function isInVpc(given: Given): Promise<boolean> {
  const word = await given("network");
  if (word === "public" || word === "vpc") return word === "vpc";
  throw new ConfigError(`network must be public or vpc, not ${word}. Correct it in the stage's file.`);
}

/** Numbers, for CloudFormation hands these to API Gateway as they are. */
async function throttleOf(given: Given, rate: string, burst: string): Promise<object> {
  return { ThrottlingRateLimit: Number(await given(rate)), ThrottlingBurstLimit: Number(await given(burst)) };
}

function listOf(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);
}
