import { AGENTS } from "../../deploy/agents.ts";
import { allow, arnHere, attributeOf, policy } from "../../deploy/cloudformation.ts";
import { resourceOf } from "../../deploy/queues.ts";
import { ROLES, type Role } from "../../lib/access/actor.ts";
import { isAtLeast, isOfModels, type Need } from "../../lib/access/may.ts";
import { takenBy } from "../../lib/runtime/http/not-found.ts";
import type { Route } from "../../lib/runtime/http/route.ts";
import { type FunctionSpec, functions } from "../../lib/wiring/functions.ts";
import { routes } from "../../lib/wiring/routes.ts";
import { ofFunction, yaml } from "./template.ts";

// No names of their own, which are one to an account: the outputs have the ARNs. A description that is changed makes another policy,
// and what had the old one is left without.
const DESCRIPTIONS: Record<Role, string> = {
  viewer: "Read work, agents and reports.",
  member: "Submit work and see it through, and read.",
  admin: "Decide about work, look after agents and keys, and what members may.",
  owner: "Everything but calls of models.",
};
const LLM = "Call models through the LLM gateway.";

/** deploy/policies.yml: what each role may do, and each agent, where callers sign. They run elsewhere: whatever they are gets it. */
export function policiesYaml(): string {
  const policies = [
    ...ROLES.map((role) => [`${resourceOf(role)}Policy`, DESCRIPTIONS[role], callsOf(isForRole(role))] as const),
    ["LlmPolicy", LLM, [...callsOf(isOfModels), ...urls()]] as const,
    ...AGENTS.map(
      (agent) =>
        [
          `${resourceOf(agent)}AgentPolicy`,
          toldOf(agent),
          [...work(agent), ...callsOf(({ agents }) => agents !== undefined, agent), ...urls()],
        ] as const,
    ),
  ];
  return yaml("What callers and agents may do.", "the routes, lib/wiring/functions.ts and deploy/agents.ts", {
    Resources: Object.fromEntries(
      policies.map(([name, Description, statements]) => [
        name,
        { Type: "AWS::IAM::ManagedPolicy", Properties: { Description, PolicyDocument: policy(statements) } },
      ]),
    ),
    Outputs: Object.fromEntries(policies.map(([name]) => [`${name}Arn`, { Value: { Ref: name } }])),
  });
}

function toldOf(agent: string): string {
  return `What the agent ${agent} may do - take its work and answer.`;
}

/** To take from its queue and to answer. */
function work(agent: string): object[] {
  const take = ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"];
  return [
    allow(
      take.map((verb) => `sqs:${verb}`),
      attributeOf(`${resourceOf(agent)}Queue`),
    ),
    allow("sqs:SendMessage", attributeOf("ResultsQueue")),
  ];
}

/** Calls of models are let by a policy of their own. */
function isForRole(role: Role): (need: Need) => boolean {
  return (need) => isAtLeast(role, need.role) && !isOfModels(need);
}

/** The calls that ask for what fits; an agent's of itself alone. */
function callsOf(fits: (need: Need) => boolean, agent?: string): object[] {
  const own = routes
    .filter(({ access }) => access !== "open" && fits(access))
    .flatMap((route) => methodsOf(route).map((method) => callArn(method, route.path, agent)));
  return [allow("execute-api:Invoke", own)];
}

/** The URLs of functions, which are those of the LLM gateway. */
function urls(): object[] {
  return Object.entries(functions as Record<string, FunctionSpec>)
    .filter(([, { events }]) => events === "url")
    .flatMap(([name]) => callUrl(ofFunction(name, "LambdaFunction")));
}

function methodsOf(route: Pick<Route, "method">): readonly string[] {
  return route.method === "ANY" ? ["*"] : takenBy(route);
}

/** IAM's * stands for slashes, too: a test holds each route's pattern to the other routes. */
function callArn(method: string, path: string, agent: string | undefined): object {
  const named = agent === undefined ? path : path.replace("{name}", agent);
  return arnHere("execute-api", `\${HttpApi}/*/${method}${named.replaceAll(/\{[^}]+\}/g, "*")}`);
}

/** Since October 2025 a function URL wants both; the second only by way of the URL. */
function callUrl(name: string): object[] {
  return [
    allow("lambda:InvokeFunctionUrl", attributeOf(name), {
      StringEquals: { "lambda:FunctionUrlAuthType": "AWS_IAM" },
    }),
    allow("lambda:InvokeFunction", attributeOf(name), { Bool: { "lambda:InvokedViaFunctionUrl": "true" } }),
  ];
}
