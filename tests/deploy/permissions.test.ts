import { beforeAll, expect, test } from "vitest";
import { routes } from "../../lib/wiring/routes.ts";
import { packageService, readTemplate, type Template } from "./packaged.ts";

let template: Template;
beforeAll(async () => {
  await packageService();
  template = readTemplate();
});

type Statement = {
  Effect: string;
  Action: string | string[];
  Resource: unknown;
  Principal?: unknown;
  Condition?: object;
};

const all = (type: string) => Object.entries(template.Resources).filter(([, resource]) => resource.Type === type);
const listOf = (value: unknown) => (Array.isArray(value) ? value : [value]) as unknown[];

/** Every statement of every policy, with the resource that it stands in. */
function statements(): [string, Statement][] {
  return Object.entries(template.Resources).flatMap(([name, { Properties }]) =>
    [Properties?.["PolicyDocument"], ...(Properties?.["Policies"] ?? []).map((policy: any) => policy.PolicyDocument)]
      .filter((document) => document !== undefined)
      .flatMap((document) => document.Statement.map((statement: Statement) => [name, statement])),
  );
}

/** A resource by its name in the template, or by the text that stands for it. */
function nameOf(resource: unknown): string {
  const {
    Ref,
    "Fn::GetAtt": attribute,
    "Fn::Sub": text,
  } = resource as {
    Ref?: string;
    "Fn::GetAtt"?: [string, string];
    "Fn::Sub"?: string;
  };
  return Ref ?? attribute?.[0] ?? text?.split(":").at(-1) ?? String(resource);
}

test("no policy allows every action, of anything or of a service", () => {
  const bare = statements().filter(
    ([, { Effect, Action }]) => Effect === "Allow" && listOf(Action).some((action) => /^\*$|:\*$/.test(String(action))),
  );

  expect(statements().length).toBeGreaterThan(40);
  expect(bare).toEqual([]);
});

test("no policy allows anything on every resource but to write traces, which have no resource", () => {
  const bare = statements().filter(
    ([, { Effect, Resource }]) => Effect === "Allow" && listOf(Resource).some((resource) => resource === "*"),
  );

  expect(new Set(bare.flatMap(([, { Action }]) => listOf(Action)))).toEqual(
    new Set(["xray:PutTraceSegments", "xray:PutTelemetryRecords"]),
  );
});

test("every function has a role of its own", () => {
  const roles = all("AWS::Lambda::Function").map(([, { Properties }]) => nameOf(Properties["Role"]));

  expect(new Set(roles).size).toBe(25);
  expect(all("AWS::IAM::Role").map(([name]) => name)).toEqual(expect.arrayContaining(roles));
  expect(all("AWS::IAM::Role")).toHaveLength(25);
});

test("every function writes its own log alone", () => {
  for (const [name, { Properties }] of all("AWS::Lambda::Function")) {
    const own = statements().filter(([role]) => role === nameOf(Properties["Role"]));
    const logs = own.filter(([, { Action }]) => listOf(Action).includes("logs:PutLogEvents"));

    expect(logs.map(([, { Resource }]) => nameOf(Resource))).toEqual([name.replace("LambdaFunction", "LogGroup")]);
  }
});

test("beyond its log, traces and the database's secret, a function may do what its work takes and nothing else", () => {
  const granted: Record<string, string[]> = {};
  for (const [name, { Action, Resource }] of statements().filter(([role]) => role.endsWith("Role"))) {
    for (const action of listOf(Action).map(String)) {
      if (!action.startsWith("sqs:")) continue;
      for (const resource of listOf(Resource)) (granted[name] ??= []).push(`${action} ${nameOf(resource)}`);
    }
  }

  const toAgents = ["sqs:SendMessage waybill-agent-*"];
  const counts = ["Work", "Results", "Infra", "Desktop", "Code", "Research"].map(
    (queue) => `sqs:GetQueueAttributes ${queue}Queue`,
  );
  const consume = (queue: string) => [
    ...["ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ChangeMessageVisibility"].map(
      (verb) => `sqs:${verb} ${queue}Queue`,
    ),
    `sqs:SendMessage ${queue}DeadLetters`,
    `sqs:GetQueueUrl ${queue}DeadLetters`,
  ];
  expect(granted).toEqual({
    SubmitWorkRole: ["sqs:SendMessage WorkQueue"],
    DecideWorkRole: ["sqs:SendMessage WorkQueue", ...toAgents],
    ManageAgentRole: ["sqs:GetQueueUrl waybill-agent-*"],
    GetHealthRole: counts,
    DispatchRole: ["sqs:SendMessage WorkQueue", ...toAgents, ...consume("Work")],
    RecordResultRole: ["sqs:SendMessage WorkQueue", ...toAgents, ...consume("Results")],
    SweepRole: [
      "sqs:SendMessage WorkQueue",
      ...toAgents,
      ...counts,
      "sqs:GetQueueAttributes waybill-agent-*",
      "sqs:ListQueueTags waybill-agent-*",
    ],
  });
});

test("only functions that ask the database may read its secret, and only those that tell agents the one that signs", () => {
  const readers = statements()
    .filter(([, { Action }]) => listOf(Action).includes("secretsmanager:GetSecretValue"))
    .flatMap(([name, { Resource }]) => listOf(Resource).map((one) => `${name} ${nameOf(one)}`));

  const secret = "{{resolve:ssm:/waybill/dev/database-secret-arn}}";
  const signing = readers.filter((reader) => reader.endsWith(" SigningSecret"));
  const signs = ["DecideWork", "GetSigningKeys", "Dispatch", "RecordResult", "Sweep"];
  expect(signing.toSorted()).toEqual(signs.map((name) => `${name}Role SigningSecret`).toSorted());
  const without = ["GetOpenapiRole", "GetSigningKeysRole", "NotFoundRole"];
  const expected = all("AWS::IAM::Role").flatMap(([name]) => (without.includes(name) ? [] : [`${name} ${secret}`]));
  const vendors = readers.filter((reader) => !reader.endsWith(secret) && !signing.includes(reader));
  expect(readers.filter((reader) => reader.endsWith(secret))).toEqual(expected);
  expect(vendors).toEqual(["LlmRouteRole waybill/dev/llm/*", "LlmStreamRole waybill/dev/llm/*"]);
});

test("every call of the API is a route of the deployment, and the other way round", () => {
  const deployed = all("AWS::ApiGatewayV2::Route").map(([, { Properties }]) => String(Properties["RouteKey"]));

  const known = routes.flatMap(({ method, path }) =>
    (method === "GET" ? ["GET", "HEAD"] : [method]).map((verb) => `${verb} ${path}`),
  );
  expect(deployed.toSorted()).toEqual([...known, "$default"].toSorted());
});

test("the authorizer is asked about every call but health, the document, the public keys, unknown paths and the gateway, which asks itself", () => {
  const open = all("AWS::ApiGatewayV2::Route")
    .filter(([, { Properties }]) => Properties["AuthorizationType"] !== "CUSTOM")
    .map(([, { Properties }]) => String(Properties["RouteKey"]))
    .filter((key) => !key.includes(" /llm/"));

  expect(open.toSorted()).toEqual([
    "$default",
    "GET /.well-known/jwks.json",
    "GET /health",
    "GET /openapi.json",
    "HEAD /.well-known/jwks.json",
    "HEAD /health",
    "HEAD /openapi.json",
  ]);
});

test("nobody but a denial speaks of everybody", () => {
  const everybody = statements().filter(
    ([, { Principal }]) => Principal === "*" || JSON.stringify(Principal ?? "").includes('"*"'),
  );

  expect(new Set(everybody.map(([, { Effect }]) => Effect))).toEqual(new Set(["Deny"]));
  const everyones = all("AWS::Lambda::Permission").filter(([, { Properties }]) => Properties["Principal"] === "*");
  expect(everyones.map(([name]) => name)).toEqual([
    "LlmDashstreamLambdaPermissionFnUrl",
    "LlmDashstreamLambdaPermissionFn",
  ]);
});

test("every queue, and every dead letter queue, refuses whoever does not speak TLS", () => {
  const refusing = all("AWS::SQS::QueuePolicy").map(([, { Properties }]) => {
    const [statement, ...more] = Properties["PolicyDocument"].Statement;
    expect(more).toEqual([]);
    expect(statement).toMatchObject({
      Effect: "Deny",
      Action: "sqs:*",
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    });
    expect([{ Ref: nameOf(statement.Resource) }]).toEqual(Properties["Queues"]);
    return nameOf(statement.Resource);
  });

  expect(refusing.toSorted()).toEqual(
    all("AWS::SQS::Queue")
      .map(([name]) => name)
      .toSorted(),
  );
});
