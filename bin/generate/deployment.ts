import { stringify } from "yaml";
import { takenBy } from "../../lib/runtime/http/not-found.ts";
import type { Route } from "../../lib/runtime/http/route.ts";
import { type FunctionName, type FunctionSpec, functions, type Right } from "../../lib/wiring/functions.ts";
import { routes } from "../../lib/wiring/routes.ts";

const all: [FunctionName, FunctionSpec][] = Object.entries(functions) as [FunctionName, FunctionSpec][];

/** deploy/http.yml: the functions that answer HTTP calls with their events, and who may call each route. */
export function httpYaml(): string {
  const answering = all.filter(([, { events }]) => events !== "yml");
  return yaml("The functions that answer HTTP calls, and who may call what.", {
    functions: Object.fromEntries(answering.map(([name, spec]) => [name, functionOf(name, spec)])),
    resources: {
      extensions: Object.fromEntries(
        routes
          .filter(({ access }) => access === "caller")
          .flatMap((route) => methodsOf(route).map((method) => logicalPart(method, route.path)))
          .map((part) => [`HttpApiRoute${part}`, { Properties: { AuthorizationType: "${param:authorization}" } }]),
      ),
    },
  });
}

function functionOf(name: FunctionName, { room, timeoutSeconds, settings, events }: FunctionSpec) {
  return {
    handler: `functions/${room}/${name}.handler`,
    role: roleOf(name),
    ...(timeoutSeconds === undefined ? {} : { timeout: timeoutSeconds }),
    ...(settings === undefined
      ? {}
      : { environment: `\${self:custom.${settings}.environment}`, package: `\${self:custom.${settings}.package}` }),
    ...eventsOf(name, events),
  };
}

function eventsOf(name: FunctionName, events: FunctionSpec["events"]) {
  if (events === "url") {
    const authorizer = "${self:custom.urlAuthorizers.${param:authorization}, null}";
    return { url: { authorizer, invokeMode: "RESPONSE_STREAM" } };
  }
  const own = routes
    .filter((route) => route.function === name)
    .flatMap((route) => methodsOf(route).map((method) => `${method} ${route.path}`));
  if (events === "routes" && own.length === 0) throw new Error(`No route names the function ${name}. Take it out.`);
  return { events: (events === "rest" ? ["*"] : own).map((httpApi) => ({ httpApi })) };
}

/** API Gateway gives HEAD to no route that does not name it. */
function methodsOf(route: Pick<Route, "method">): readonly string[] {
  return route.method === "ANY" ? ["ANY"] : takenBy(route);
}

/** As the framework names a route's resource: POST /work/{task_id}/approve is PostWorkTaskidVarApprove. */
function logicalPart(method: string, path: string): string {
  const parts = path.split("/").filter(Boolean).map(logicalWord);
  return logicalWord(method.toLowerCase()) + parts.join("");
}

function logicalWord(part: string): string {
  const name = part.startsWith("{") ? `${part.slice(1, -1)}Var` : part;
  // Of a part such as chat-completions or openapi.json what is no letter or digit is left out, and what follows stays as it is.
  const plain = name.replaceAll(/[^A-Za-z0-9]/g, "");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

/** deploy/roles.yml: a role a function, which may do what lib/wiring/functions.ts says and nothing else. */
export function rolesYaml(): string {
  const unknown = routes.find((route) => !Object.hasOwn(functions, route.function));
  if (unknown !== undefined) {
    const { method, path } = unknown;
    throw new Error(`${method} ${path} names the function ${unknown.function}. Add it to lib/wiring/functions.ts.`);
  }
  return yaml("What each function may do, a role a function.", {
    Resources: Object.fromEntries(all.map(([name, spec]) => [roleOf(name), role(name, spec)])),
  });
}

function role(name: FunctionName, { may }: FunctionSpec) {
  return {
    Type: "AWS::IAM::Role",
    Properties: {
      AssumeRolePolicyDocument: {
        Version: "2012-10-17",
        Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
      },
      ManagedPolicyArns: "${self:custom.networks.${param:network}.policies}",
      Policies: [
        {
          PolicyName: name,
          PolicyDocument: {
            Version: "2012-10-17",
            Statement: [
              allow(["logs:CreateLogStream", "logs:PutLogEvents"], arnOf(logGroupOf(name))),
              // X-Ray knows no resource to name here.
              allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*"),
              ...may.flatMap((right) => STATEMENTS[right]),
            ],
          },
        },
      ],
    },
  };
}

/** Of any agent, those of the registry too; see AGENT_QUEUE_PREFIX. */
const ANY_AGENT = {
  "Fn::Sub": "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${param:prefix}-agent-*",
};

/** The queues whose counts GET /health tells: those of serverless.yml. */
const SHIPPED = ["Work", "Results", "Infra", "Desktop", "Code", "Research"].map((name) => arnOf(`${name}Queue`));

const STATEMENTS: Record<Right, object[]> = {
  database: [allow("secretsmanager:GetSecretValue", "${param:databaseSecretArn}")],
  "vendors' keys": [allow("secretsmanager:GetSecretValue", "${param:llmSecretArns}")],
  wake: [allow("sqs:SendMessage", arnOf("WorkQueue"))],
  "tell agents": [allow("sqs:SendMessage", ANY_AGENT)],
  "take work": take("Work"),
  "take results": take("Results"),
  "look at queues": [allow("sqs:GetQueueAttributes", SHIPPED)],
  "look after agents": [allow(["sqs:GetQueueAttributes", "sqs:ListQueueTags"], ANY_AGENT)],
  "find queues": [allow("sqs:GetQueueUrl", ANY_AGENT)],
};

/** To consume a queue, to have what failed come again after a pause, and to bury with its reason what can never be taken in. */
function take(queue: "Work" | "Results"): object[] {
  const consume = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"];
  const putBack = "sqs:ChangeMessageVisibility";
  return [
    allow([...consume, putBack], arnOf(`${queue}Queue`)),
    allow(["sqs:SendMessage", "sqs:GetQueueUrl"], arnOf(`${queue}DeadLetters`)),
  ];
}

function allow(Action: string | string[], Resource: unknown): object {
  return { Effect: "Allow", Action, Resource };
}

function arnOf(resource: string): object {
  return { "Fn::GetAtt": [resource, "Arn"] };
}

/** As the framework names a function's log group: submit-work has SubmitDashworkLogGroup. */
function logGroupOf(name: string): string {
  const text = name.replaceAll("-", "Dash");
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}LogGroup`;
}

function roleOf(name: string): string {
  return `${name.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase())}Role`;
}

function yaml(title: string, content: object): string {
  const head = `# ${title} Made of the routes and lib/wiring/functions.ts by npm run generate; do not edit.\n`;
  // YAML 1.1, as the framework reads it: there 2012-10-17 without quotes is a date.
  return head + stringify(content, { version: "1.1", aliasDuplicateObjects: false, lineWidth: 0 });
}
