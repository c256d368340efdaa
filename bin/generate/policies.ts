import { AGENTS } from "../../deploy/agents.ts";
import { allow, arnHere, attributeOf, policy } from "../../deploy/cloudformation.ts";
import { resourceOf } from "../../deploy/queues.ts";
import { takenBy } from "../../lib/runtime/http/not-found.ts";
import { CALLERS, type Caller, type Route } from "../../lib/runtime/http/route.ts";
import { type FunctionSpec, functions } from "../../lib/wiring/functions.ts";
import { routes } from "../../lib/wiring/routes.ts";
import { ofFunction, yaml } from "./template.ts";

// No names of their own, which are one to an account: the outputs have the ARNs. A description that is changed makes another policy,
// and what had the old one is left without.
const DESCRIPTIONS: Record<Exclude<Caller, "agent">, string> = {
  reader: "Read work, agents and reports.",
  submitter: "Submit work, see it through, and read.",
  approver: "Decide about work, see it through, and read.",
  operator: "Look after agents and work, and read.",
  llm: "Call models through the LLM gateway.",
};

/** deploy/policies.yml: what each kind of caller may do, and each agent. Agents and callers run elsewhere: whatever they are gets it. */
export function policiesYaml(): string {
  const people = CALLERS.filter((caller) => caller !== "agent");
  const policies = [
    ...people.map((caller) => [`${resourceOf(caller)}Policy`, DESCRIPTIONS[caller], callsOf(caller)] as const),
    ...AGENTS.map(
      (agent) =>
        [`${resourceOf(agent)}AgentPolicy`, toldOf(agent), [...work(agent), ...callsOf("agent", agent)]] as const,
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

/** The calls that the routes let this caller make, and the URLs of functions; an agent's of itself alone. */
function callsOf(caller: Caller, agent?: string): object[] {
  const own = routes
    .filter(({ access }) => access !== "open" && access.includes(caller))
    .flatMap((route) => methodsOf(route).map((method) => callArn(method, route.path, agent)));
  const urls = Object.entries(functions as Record<string, FunctionSpec>)
    .filter(([, { access }]) => access?.includes(caller))
    .flatMap(([name]) => callUrl(ofFunction(name, "LambdaFunction")));
  return [...(own.length === 0 ? [] : [allow("execute-api:Invoke", own)]), ...urls];
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
