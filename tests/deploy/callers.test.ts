import { beforeAll, expect, test } from "vitest";
import { AGENTS } from "../../deploy/agents.ts";
import { resourceOf } from "../../deploy/queues.ts";
import { ROLES } from "../../lib/access/actor.ts";
import { type Access, may } from "../../lib/access/may.ts";
import { takenBy } from "../../lib/runtime/http/not-found.ts";
import { routes } from "../../lib/wiring/routes.ts";
import { packageService, readTemplate, type Template } from "./packaged.ts";

let template: Template;
beforeAll(async () => {
  await packageService();
  template = readTemplate();
});

type Statement = { Action: string | string[]; Resource: unknown; Condition?: object };
const NAMES = [...ROLES.map((role) => `${resourceOf(role)}Policy`), "LlmPolicy"];
const isOfModels = (access: Access) => access !== "open" && access.scope === "llm:use";

function statementsOf(policy: string): Statement[] {
  return template.Resources[policy]?.Properties["PolicyDocument"].Statement as Statement[];
}

/** Whether a policy lets its owner make a call, as IAM reads it: * stands for any text, slashes too. */
function lets(policy: string, call: string): boolean {
  const patterns = statementsOf(policy)
    .filter(({ Action }) => Action === "execute-api:Invoke")
    .flatMap(({ Resource }) => Resource as { "Fn::Sub": string }[])
    .map(({ "Fn::Sub": arn }) => /\$\{HttpApi\}\/\*\/(.*)$/.exec(arn)?.[1] ?? "");
  return patterns.some((pattern) => {
    const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
    return new RegExp(`^${parts.join(".*")}$`).test(call);
  });
}

const TASK = "0190b0a0-0000-7000-8000-000000000001";
/** Every call of the API as it is sent, about this agent. */
const callsTo = (agent: string) =>
  routes.flatMap((route) => {
    const path = route.path.replace("{task_id}", TASK).replace("{name}", agent);
    return takenBy(route).map((method) => ({ call: `${method}${path}`, access: route.access }));
  });

test.each(ROLES)(
  "the policy of the role %s lets it make the calls that it may, but of models, and no other",
  (role) => {
    const allowed = callsTo("writer").filter(
      ({ access }) =>
        access !== "open" && !isOfModels(access) && may({ role, scopes: null, agent: null }, access) === undefined,
    );
    const granted = callsTo("writer").filter(({ call }) => lets(`${resourceOf(role)}Policy`, call));

    expect(granted).toEqual(allowed);
    expect(granted.length).toBeGreaterThan(0);
  },
);

test("the policy of models lets its owner call them, and nothing else", () => {
  const granted = callsTo("writer").filter(({ call }) => lets("LlmPolicy", call));

  expect(granted).toEqual(callsTo("writer").filter(({ access }) => isOfModels(access)));
});

test.each(AGENTS)("the policy of the agent %s lets it speak for itself, call models, and nothing else", (agent) => {
  const policy = `${resourceOf(agent)}AgentPolicy`;
  const allowed = callsTo(agent).filter(({ access }) => access !== "open" && access.agents !== undefined);

  expect(callsTo(agent).filter(({ call }) => lets(policy, call))).toEqual(allowed);
  const ofOthers = callsTo("another").filter(({ call }) => call.includes("another") && lets(policy, call));
  expect(ofOthers).toEqual([]);
  const sqs = statementsOf(policy).filter(({ Action }) => String(Action).includes("sqs:"));
  expect(sqs.map(({ Resource }) => Resource)).toEqual([
    { "Fn::GetAtt": [`${resourceOf(agent)}Queue`, "Arn"] },
    { "Fn::GetAtt": ["ResultsQueue", "Arn"] },
  ]);
});

test("every call that is not open is in a policy, and a viewer's are GET and HEAD", () => {
  const forgotten = callsTo("code").filter(
    ({ call, access }) => access !== "open" && !NAMES.some((policy) => lets(policy, call)),
  );

  expect(forgotten).toEqual([]);
  const viewer = callsTo("code").filter(({ call }) => lets("ViewerPolicy", call));
  expect(viewer.filter(({ call }) => !/^(GET|HEAD)\//.test(call))).toEqual([]);
});

test("a member decides about nothing", () => {
  const approve = `POST/work/${TASK}/approve`;

  expect(NAMES.filter((policy) => lets(policy, approve))).toEqual(["AdminPolicy", "OwnerPolicy"]);
});

test("who may call models may do so at the streaming URL, which wants two rights, the second by way of it alone", () => {
  const callers = ["LlmPolicy", ...AGENTS.map((agent) => `${resourceOf(agent)}AgentPolicy`)];
  const Resource = { "Fn::GetAtt": ["LlmDashstreamLambdaFunction", "Arn"] };
  for (const policy of callers) {
    expect(statementsOf(policy).filter(({ Action }) => String(Action).startsWith("lambda:"))).toEqual([
      {
        Effect: "Allow",
        Action: "lambda:InvokeFunctionUrl",
        Resource,
        Condition: { StringEquals: { "lambda:FunctionUrlAuthType": "AWS_IAM" } },
      },
      {
        Effect: "Allow",
        Action: "lambda:InvokeFunction",
        Resource,
        Condition: { Bool: { "lambda:InvokedViaFunctionUrl": "true" } },
      },
    ]);
  }
  for (const policy of NAMES.filter((one) => one !== "LlmPolicy")) {
    expect(JSON.stringify(statementsOf(policy))).not.toContain("lambda:");
  }
});

test("the ARN of every policy, the URL of every queue and both addresses are told", () => {
  const policies = Object.entries(template.Resources).filter(([, { Type }]) => Type === "AWS::IAM::ManagedPolicy");
  const queues = Object.entries(template.Resources).filter(([, { Type }]) => Type === "AWS::SQS::Queue");

  expect(policies).toHaveLength(NAMES.length + AGENTS.length);
  for (const [name] of policies) expect(template.Outputs[`${name}Arn`]).toEqual({ Value: { Ref: name } });
  for (const [name] of queues) expect(template.Outputs[`${name}Url`]).toEqual({ Value: { Ref: name } });
  expect(template.Outputs["LlmStreamUrl"]).toEqual({
    Value: { "Fn::GetAtt": ["LlmDashstreamLambdaFunctionUrl", "FunctionUrl"] },
  });
  expect(Object.keys(template.Outputs)).toContain("HttpApiUrl");
});

test("a policy is within the 6,144 characters that IAM takes, with the longest ARNs", () => {
  const resolved = (name: string) =>
    JSON.stringify(statementsOf(name))
      .replaceAll(/\{"Fn::Sub":("[^"]*")\}/g, "$1")
      .replaceAll(/\{"Fn::GetAtt":[^}]*\}/g, `"${"x".repeat(150)}"`)
      .replaceAll("${AWS::Partition}", "aws-us-gov")
      .replaceAll("${AWS::Region}", "ap-southeast-1")
      .replaceAll("${AWS::AccountId}", "123456789012")
      .replaceAll("${HttpApi}", "abcdefghij");
  const policies = Object.keys(template.Resources).filter(
    (name) => name.endsWith("Policy") && !/Queue|Dead|Bucket/.test(name),
  );

  expect(policies).toHaveLength(NAMES.length + AGENTS.length);
  for (const policy of policies) expect(resolved(policy).length).toBeLessThan(6_000);
});
