import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegoEngine, TemplateFile } from "@aws/cloudformation-validate";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Template as Deployed } from "../../bin/deploy/changes.ts";
import { packageService, packageStage, readBundle, readTemplate, TEMPLATE, type Template } from "./packaged.ts";

// The template of a stage with nothing but defaults, and that of one where everything is otherwise.
const folder = mkdtempSync(join(tmpdir(), "waybill-options-"));
const packaged = join(folder, ".serverless");
const CA = "database-ca.pem";
const SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:database-Ab12Cd";
let usual: Template;
let other: Template;
beforeAll(async () => {
  await packageService();
  usual = readTemplate();
  writeFileSync(join(folder, CA), "-----BEGIN CERTIFICATE-----\n");
  packageStage(
    folder,
    "prod",
    {
      network: "vpc",
      subnetIds: "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
      securityGroupIds: "sg-0123456789abcdef0",
      authorization: "AWS_IAM",
      alarmEmail: "ops@example.com",
      kmsKeyArns: "arn:aws:kms:eu-central-1:123456789012:key/one,arn:aws:kms:eu-central-1:123456789012:key/two",
      llmSecretArns: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:vendor-*",
      databaseUrl: "postgres://u@db.example/d?sslmode=verify-full",
      databaseCa: CA,
      openRequestRate: "7",
      agentQueueCreate: "true",
      deletionProtection: "true",
    },
    { "/waybill/prod/database-secret-arn": SECRET },
  );
  other = readTemplate(packaged);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const all = (template: Template, type: string) =>
  Object.entries(template.Resources).filter(([, resource]) => resource.Type === type);
const propertiesOf = (template: Template, type: string) => all(template, type).map(([, { Properties }]) => Properties);

test.each([
  ["the defaults", () => ".serverless"],
  ["everything otherwise", () => packaged],
])("CloudFormation has nothing to say against the template of %s", { timeout: 120_000 }, (_which, where) => {
  const engine = new RegoEngine();
  const { diagnostics } = engine.validateStandard(new TemplateFile(join(where(), TEMPLATE)), { severityLevel: "WARN" });

  // W3005: the framework says DependsOn where a reference says it, too.
  const faults = diagnostics.filter(({ ruleId }) => ruleId !== "W3005");
  expect(faults.map(({ ruleId, message, entity }) => `${ruleId} ${entity?.logicalId}: ${message}`)).toEqual([]);
});

test("keys are asked for by the authorizer, at the gateway by itself; signatures by AWS, and open is what is meant to be", () => {
  const types = (template: Template) =>
    propertiesOf(template, "AWS::ApiGatewayV2::Route").map((route) => String(route["AuthorizationType"] ?? "NONE"));
  const urls = (template: Template) => propertiesOf(template, "AWS::Lambda::Url").map((url) => url["AuthType"]);

  expect(types(usual).filter((type) => type === "NONE")).toHaveLength(7 + 6);
  expect(new Set(types(usual))).toEqual(new Set(["NONE", "CUSTOM"]));
  expect(types(other).filter((type) => type === "NONE")).toHaveLength(7);
  expect(new Set(types(other))).toEqual(new Set(["NONE", "AWS_IAM"]));
  expect([urls(usual), urls(other)]).toEqual([["NONE"], ["AWS_IAM"]]);
  expect(propertiesOf(usual, "AWS::ApiGatewayV2::Authorizer")).toMatchObject([
    {
      AuthorizerType: "REQUEST",
      EnableSimpleResponses: true,
      IdentitySource: ["$request.header.Authorization"],
      AuthorizerResultTtlInSeconds: 60,
    },
  ]);
});

test("in a VPC are the functions that ask the database, and they alone may attach to it", () => {
  const inside = all(other, "AWS::Lambda::Function").filter(
    ([, { Properties }]) => Properties["VpcConfig"] !== undefined,
  );
  const attaching = all(other, "AWS::IAM::Role").filter(
    ([, { Properties }]) => Properties["ManagedPolicyArns"].length > 0,
  );

  expect(inside).toHaveLength(22);
  for (const [, { Properties }] of inside) {
    expect(Properties["VpcConfig"]).toMatchObject({
      SubnetIds: ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
      SecurityGroupIds: ["sg-0123456789abcdef0"],
    });
  }
  const roleOf = (properties: Record<string, any>) => String(properties["Role"]["Fn::GetAtt"][0]);
  expect(attaching.map(([name]) => name).toSorted()).toEqual(inside.map(([, fn]) => roleOf(fn.Properties)).toSorted());
  expect(JSON.stringify(usual)).not.toMatch(/VpcConfig|AWSLambdaENIManagementAccess/);
});

test("keys of one's own are for the functions that read secrets or queues", () => {
  const withKeys = all(other, "AWS::IAM::Role").filter(([, role]) => JSON.stringify(role).includes("kms:Decrypt"));

  expect(withKeys).toHaveLength(23);
  expect(JSON.stringify(withKeys[0])).toContain("key/one");
  expect(JSON.stringify(usual)).not.toContain("kms:");
});

test("the gateway reads the keys of its own stage, and what is named besides", () => {
  const role = JSON.stringify(other.Resources["LlmRouteRole"]);

  expect(role).toContain(
    "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:waybill/prod/llm/*",
  );
  expect(role).toContain("secret:vendor-*");
});

test("no ARN is of one partition alone", () => {
  expect(JSON.stringify(usual)).not.toContain("arn:aws:");
});

test("an e-mail address is subscribed where there is one", () => {
  expect(propertiesOf(other, "AWS::SNS::Subscription")).toMatchObject([{ Endpoint: "ops@example.com" }]);
  expect(propertiesOf(usual, "AWS::SNS::Subscription")).toEqual([]);
});

test("the CA of the database is in every package, and its path in every environment", () => {
  for (const name of ["get-work", "migrate", "llm-stream"]) {
    expect(readBundle(name, packaged).get(CA)?.toString()).toContain("BEGIN CERTIFICATE");
  }
  expect(propertiesOf(other, "AWS::Lambda::Function")[0]?.["Environment"].Variables.DATABASE_CA).toBe(CA);
  expect(JSON.stringify(usual)).not.toContain("DATABASE_CA");
});

test("what anybody may call has less room, in numbers, and is there before its limit", () => {
  const of = (template: Template) => template.Resources["HttpApiStage"];
  const { DefaultRouteSettings, RouteSettings } = of(usual)?.Properties ?? {};
  const paths = ["/health", "/openapi.json", "/.well-known/jwks.json"];
  const open = [...paths.flatMap((path) => [`GET ${path}`, `HEAD ${path}`]), "$default"];

  expect(DefaultRouteSettings).toEqual({ ThrottlingRateLimit: 100, ThrottlingBurstLimit: 200 });
  expect(RouteSettings).toEqual(
    Object.fromEntries(open.map((key) => [key, { ThrottlingRateLimit: 5, ThrottlingBurstLimit: 10 }])),
  );
  expect(of(other)?.Properties["RouteSettings"]["$default"].ThrottlingRateLimit).toBe(7);
  const before = (of(usual)?.DependsOn ?? []) as string[];
  expect(before.map((name) => usual.Resources[name]?.Properties["RouteKey"] as unknown)).toEqual(
    expect.arrayContaining(open),
  );
});

test("the names of another stage's queues are others", () => {
  const names = (template: Template) =>
    propertiesOf(template, "AWS::SQS::Queue").map((queue) => String(queue["QueueName"]));

  expect(names(other)).toContain("waybill-prod-work-dlq");
  expect(names(other).filter((name) => names(usual).includes(name))).toEqual([]);
});

test("what a deploy has read of SSM stands in the template, and without it the references do", () => {
  const secretsOf = (template: Template) =>
    new Set(
      propertiesOf(template, "AWS::Lambda::Function")
        .map(({ Environment }) => Environment?.Variables?.DATABASE_SECRET_ARN)
        .filter((arn) => arn !== undefined),
    );

  expect(secretsOf(other)).toEqual(new Set([SECRET]));
  expect(JSON.stringify(other)).not.toContain("{{resolve:ssm:");
  expect(JSON.stringify(other.Resources["MigrateRole"])).toContain(SECRET);
  expect((other as Deployed).Metadata?.Waybill?.ssm).toEqual({ "/waybill/prod/database-secret-arn": SECRET });
  expect(secretsOf(usual)).toEqual(new Set(["{{resolve:ssm:/waybill/dev/database-secret-arn}}"]));
});
