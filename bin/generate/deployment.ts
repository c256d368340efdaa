import { allow, arnHere, attributeOf, policy } from "../../deploy/cloudformation.ts";
import { queues, resourceOf } from "../../deploy/queues.ts";
import { isOfModels } from "../../lib/access/may.ts";
import { takenBy } from "../../lib/runtime/http/not-found.ts";
import type { Route } from "../../lib/runtime/http/route.ts";
import { type FunctionName, type FunctionSpec, functions, type Right } from "../../lib/wiring/functions.ts";
import { routes } from "../../lib/wiring/routes.ts";
import { ofFunction, ofRoute, yaml } from "./template.ts";

const SOURCES = "the routes and lib/wiring/functions.ts";

const all: [FunctionName, FunctionSpec][] = Object.entries(functions) as [FunctionName, FunctionSpec][];

/** deploy/http.yml: the functions that answer HTTP calls with their events, and who may call each route. */
export function httpYaml(): string {
  const answering = all.filter(([, { events }]) => events !== "yml" && events !== "authorizer");
  const asked = all.filter(([, { events }]) => events === "authorizer");
  return yaml("The functions that answer HTTP calls, and who may call what.", SOURCES, {
    functions: Object.fromEntries([...answering, ...asked].map(([name, spec]) => [name, functionOf(name, spec)])),
    resources: {
      Resources: Object.assign({}, ...asked.map(([name]) => authorizerOf(name))) as object,
      extensions: { ...guards(), HttpApiStage: throttles() },
    },
  });
}

/** What is before each route that is not open. */
function guards(): object {
  return Object.fromEntries(
    routes.flatMap((route) => {
      if (route.access === "open") return [];
      const Properties = `\${derived:${isOfModels(route.access) ? "gatewayGuard" : "guard"}}`;
      return methodsOf(route).map((method) => [ofRoute(method, route.path), { Properties }]);
    }),
  );
}

/** The function that API Gateway asks who calls; its answers are kept by the header that it is asked about. */
function authorizerOf(name: FunctionName): object {
  const asked = ofFunction(name, "LambdaFunction");
  const path = `lambda:path/2015-03-31/functions/\${${asked}.Arn}/invocations`;
  return {
    KeyAuthorizer: {
      Type: "AWS::ApiGatewayV2::Authorizer",
      Properties: {
        Name: "keys",
        ApiId: { Ref: "HttpApi" },
        AuthorizerType: "REQUEST",
        AuthorizerUri: { "Fn::Sub": `arn:\${AWS::Partition}:apigateway:\${AWS::Region}:${path}` },
        AuthorizerPayloadFormatVersion: "2.0",
        EnableSimpleResponses: true,
        IdentitySource: ["$request.header.Authorization"],
        AuthorizerResultTtlInSeconds: "${derived:authorizerSeconds}",
      },
    },
    KeyAuthorizerPermission: {
      Type: "AWS::Lambda::Permission",
      Properties: {
        Action: "lambda:InvokeFunction",
        FunctionName: attributeOf(asked),
        Principal: "apigateway.amazonaws.com",
        SourceArn: arnHere("execute-api", "${HttpApi}/authorizers/${KeyAuthorizer}"),
      },
    },
  };
}

/** What anybody may call has less room than the rest. API Gateway knows a limit only of a route that is there before it. */
function throttles(): object {
  const open: [key: string, resource: string][] = [
    ...keysOf((access) => access === "open").map(([method, path]): [string, string] => [
      `${method} ${path}`,
      ofRoute(method, path),
    ]),
    ["$default", "HttpApiRouteDefault"],
  ];
  return {
    DependsOn: open.map(([, resource]) => resource),
    Properties: {
      DefaultRouteSettings: "${derived:throttle}",
      RouteSettings: Object.fromEntries(open.map(([key]) => [key, "${derived:openThrottle}"])),
    },
  };
}

/** Method and path of every route that those may call. */
function keysOf(who: (access: Route["access"]) => boolean): [method: string, path: string][] {
  return routes
    .filter(({ access }) => who(access))
    .flatMap((route) => methodsOf(route).map((method): [string, string] => [method, route.path]));
}

function functionOf(name: FunctionName, spec: FunctionSpec) {
  const { room, timeoutSeconds, settings, events } = spec;
  return {
    handler: `functions/${room}/${name}.handler`,
    role: roleOf(name),
    ...(needsNetwork(spec) ? {} : { vpc: false }),
    ...(timeoutSeconds === undefined ? {} : { timeout: timeoutSeconds }),
    ...(settings === undefined
      ? {}
      : { environment: `\${self:custom.${settings}.environment}`, package: `\${self:custom.${settings}.package}` }),
    ...eventsOf(name, events),
  };
}

function eventsOf(name: FunctionName, events: FunctionSpec["events"]) {
  if (events === "authorizer") return {};
  if (events === "url") {
    const authorizer = "${derived:urlAuthorizer, null}";
    return { url: { authorizer, invokeMode: "RESPONSE_STREAM" } };
  }
  const own = routes
    .filter((route) => route.function === name)
    .flatMap((route) => methodsOf(route).map((method) => `${method} ${route.path}`));
  if (events === "routes" && own.length === 0) throw new Error(`No route names the function ${name}. Take it out.`);
  return { events: (events === "rest" ? ["*"] : own).map((httpApi) => ({ httpApi })) };
}

/** What asks no database needs no way to it, and starts sooner without. */
function needsNetwork({ may }: FunctionSpec): boolean {
  return may.includes("database");
}

/** API Gateway gives HEAD to no route that does not name it. */
function methodsOf(route: Pick<Route, "method">): readonly string[] {
  return route.method === "ANY" ? ["ANY"] : takenBy(route);
}

/** deploy/roles.yml: a role a function, which may do what lib/wiring/functions.ts says and nothing else. */
export function rolesYaml(): string {
  const unknown = routes.find((route) => !Object.hasOwn(functions, route.function));
  if (unknown !== undefined) {
    const { method, path } = unknown;
    throw new Error(`${method} ${path} names the function ${unknown.function}. Add it to lib/wiring/functions.ts.`);
  }
  return yaml("What each function may do, a role a function.", SOURCES, {
    Resources: Object.fromEntries(all.map(([name, spec]) => [roleOf(name), role(name, spec)])),
  });
}

function role(name: FunctionName, spec: FunctionSpec) {
  const statements = [
    allow(["logs:CreateLogStream", "logs:PutLogEvents"], attributeOf(ofFunction(name, "LogGroup"))),
    // X-Ray knows no resource to name here.
    allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*"),
    ...spec.may.flatMap((right) => STATEMENTS[right]),
  ];
  const may = (right: Right) => spec.may.includes(right);
  const keys = spec.may.length === 0 ? [] : ["${derived:keysPolicy}"];
  // Of a new agent, and of one whose queue SQS has lost.
  const makes = may("find queues") || may("tell agents") ? ["${derived:makeQueuesPolicy}"] : [];
  return {
    Type: "AWS::IAM::Role",
    Properties: {
      AssumeRolePolicyDocument: policy([
        { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" },
      ]),
      ManagedPolicyArns: needsNetwork(spec) ? "${derived:networkPolicies}" : [],
      Policies: [{ PolicyName: name, PolicyDocument: policy(statements) }, ...keys, ...makes],
    },
  };
}

/** Of any agent, those of the registry too; see AGENT_QUEUE_PREFIX. */
const ANY_AGENT = arnHere("sqs", "${param:prefix}-agent-*");

const COUNTED = queues.map(({ resource }) => attributeOf(`${resource}Queue`));

const STATEMENTS: Record<Right, object[]> = {
  database: [allow("secretsmanager:GetSecretValue", "${param:databaseSecretArn}")],
  "vendors' keys": [allow("secretsmanager:GetSecretValue", "${derived:llmSecrets}")],
  sign: [allow("secretsmanager:GetSecretValue", { Ref: "SigningSecret" })],
  wake: [allow("sqs:SendMessage", attributeOf("WorkQueue"))],
  "tell agents": [allow("sqs:SendMessage", ANY_AGENT)],
  "take work": take("Work"),
  "take results": take("Results"),
  "look at queues": [allow("sqs:GetQueueAttributes", COUNTED)],
  "look after agents": [allow(["sqs:GetQueueAttributes", "sqs:ListQueueTags"], ANY_AGENT)],
  "find queues": [allow("sqs:GetQueueUrl", ANY_AGENT)],
};

/** To consume a queue, to have what failed come again after a pause, and to bury with its reason what can never be taken in. */
function take(queue: "Work" | "Results"): object[] {
  const consume = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"];
  const putBack = "sqs:ChangeMessageVisibility";
  return [
    allow([...consume, putBack], attributeOf(`${queue}Queue`)),
    allow(["sqs:SendMessage", "sqs:GetQueueUrl"], attributeOf(`${queue}DeadLetters`)),
  ];
}

function roleOf(name: string): string {
  return `${resourceOf(name)}Role`;
}
