import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { system } from "../../lib/access/actor.ts";
import { type Log } from "../../lib/runtime/log.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { controlPlane } from "../../lib/wiring/control-plane.ts";
import { noQueues, processEdges } from "../../lib/wiring/edges.ts";
import { measure } from "../../lib/wiring/measure.ts";
import { readPlaneSettings } from "../../lib/wiring/settings.ts";
import { queuesOf } from "../../localstack/parts/queues.ts";
import { packageService, type Resource, readTemplate, type Template } from "./packaged.ts";

const db = connect();
const nothing = () => {};
const silent: Log = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  metrics: nothing,
  with: () => silent,
};
let template: Template;
afterAll(async () => {
  await db.end();
});
beforeAll(async () => {
  await packageService();
  template = readTemplate();
});

const all = (type: string) => Object.entries(template.Resources).filter(([, resource]) => resource.Type === type);
const propertiesOf = (type: string) => all(type).map(([, { Properties }]) => Properties);
const functions = () => propertiesOf("AWS::Lambda::Function");
const queueNamed = (arn: { "Fn::GetAtt": [string, string] }) => template.Resources[arn["Fn::GetAtt"][0]] as Resource;
const consumed = () => all("AWS::SQS::Queue").filter(([, { Properties }]) => Properties["RedrivePolicy"] !== undefined);

test("every queue has a dead letter queue of its own, which keeps letters for 14 days", () => {
  const targets = consumed().map(([, { Properties }]) => queueNamed(Properties["RedrivePolicy"].deadLetterTargetArn));

  expect(consumed()).toHaveLength(6);
  expect(new Set(targets).size).toBe(6);
  for (const [index, [, { Properties }]] of consumed().entries()) {
    // What our functions take they bury themselves; see lib/wiring/failures.ts.
    const ours = /-(work|results)$/.test(Properties["QueueName"]);
    expect(Properties["RedrivePolicy"].maxReceiveCount).toBe(ours ? 1000 : 5);
    expect(targets[index]?.Properties).toMatchObject({
      QueueName: `${Properties["QueueName"]}-dlq`,
      MessageRetentionPeriod: 14 * 86_400,
    });
  }
});

test("there is no queue but those with a dead letter queue and the dead letter queues, and all are encrypted", () => {
  const queues = propertiesOf("AWS::SQS::Queue");

  expect(queues).toHaveLength(12);
  expect(queues.filter((queue) => queue["SqsManagedSseEnabled"] !== true)).toEqual([]);
});

test("the local stack makes the same queues", () => {
  /** As SQS takes them: all but the name and the redrive policy, as text. */
  const attributesOf = (properties: Record<string, unknown>) =>
    Object.fromEntries(
      Object.entries(properties)
        .filter(([name]) => !["QueueName", "RedrivePolicy", "RedriveAllowPolicy", "Tags"].includes(name))
        .map(([name, value]) => [name, String(value)]),
    );
  const deployed = consumed().map(([resource, { Properties }]) => {
    const dead = queueNamed(Properties["RedrivePolicy"].deadLetterTargetArn).Properties;
    return {
      resource,
      name: Properties["QueueName"],
      attributes: attributesOf(Properties),
      maxReceiveCount: Properties["RedrivePolicy"].maxReceiveCount,
      deadLetters: { name: dead["QueueName"], attributes: attributesOf(dead) },
    };
  });

  expect(queuesOf()).toEqual(deployed);
  expect(deployed.map(({ deadLetters }) => deadLetters.attributes["MessageRetentionPeriod"])).toEqual(
    deployed.map(() => String(14 * 86_400)),
  );
});

test("a message stays invisible for six times the time that its function may take", () => {
  const mappings = propertiesOf("AWS::Lambda::EventSourceMapping");

  expect(mappings).toHaveLength(2);
  for (const { EventSourceArn, FunctionName } of mappings) {
    const { Timeout } = template.Resources[FunctionName["Fn::GetAtt"][0]]?.Properties ?? {};
    expect(queueNamed(EventSourceArn).Properties["VisibilityTimeout"]).toBeGreaterThanOrEqual(6 * Timeout);
  }
});

test("a batch reports its failures one by one, waits a second at most, and runs a few at once", () => {
  const mappings = propertiesOf("AWS::Lambda::EventSourceMapping");

  expect(mappings.map((mapping) => mapping["FunctionResponseTypes"])).toEqual([
    ["ReportBatchItemFailures"],
    ["ReportBatchItemFailures"],
  ]);
  expect(mappings.map((mapping) => mapping["MaximumBatchingWindowInSeconds"])).toEqual([0, 1]);
  expect(mappings.map((mapping) => mapping["ScalingConfig"])).toEqual([
    { MaximumConcurrency: 2 },
    { MaximumConcurrency: 5 },
  ]);
});

test("every function runs on Node 24 on arm64, is traced and tagged", () => {
  expect(functions()).toHaveLength(25);
  for (const properties of functions()) {
    expect(properties).toMatchObject({
      Runtime: "nodejs24.x",
      Architectures: ["arm64"],
      TracingConfig: { Mode: "Active" },
      Tags: expect.arrayContaining([{ Key: "service", Value: "waybill" }]),
    });
  }
});

test("every function behind the API ends before the API gives up on it", () => {
  const behindApi = propertiesOf("AWS::ApiGatewayV2::Integration").map(
    ({ IntegrationUri }) => template.Resources[IntegrationUri["Fn::GetAtt"][0]]?.Properties["Timeout"],
  );

  expect(behindApi).toHaveLength(18);
  expect(Math.max(...behindApi)).toBeLessThan(30);
});

test("every log, the API's own too, is kept for 30 days", () => {
  const groups = propertiesOf("AWS::Logs::LogGroup");

  expect(groups).toHaveLength(26);
  expect(new Set(groups.map((group) => group["RetentionInDays"]))).toEqual(new Set([30]));
  expect(propertiesOf("AWS::ApiGatewayV2::Stage")[0]?.["AccessLogSettings"].Format).toContain('"status"');
});

test("no function's environment carries a secret", () => {
  for (const { Environment } of functions()) {
    expect(Environment.Variables).toMatchObject({
      DATABASE_URL: "{{resolve:ssm:/waybill/dev/database-url}}",
      DATABASE_SECRET_ARN: "{{resolve:ssm:/waybill/dev/database-secret-arn}}",
    });
  }
});

test("every queue and every dead letter queue has an alarm that tells the topic", () => {
  const watched = propertiesOf("AWS::CloudWatch::Alarm")
    .filter((alarm) => alarm["Namespace"] === "AWS/SQS")
    .map((alarm) => `${alarm["MetricName"]} ${alarm["Dimensions"][0].Value["Fn::GetAtt"][0]}`);

  const expected = all("AWS::SQS::Queue").map(([name, { Properties }]) =>
    Properties["RedrivePolicy"] === undefined
      ? `ApproximateNumberOfMessagesVisible ${name}`
      : `ApproximateAgeOfOldestMessage ${name}`,
  );
  expect(watched.toSorted()).toEqual(expected.toSorted());
  for (const alarm of propertiesOf("AWS::CloudWatch::Alarm")) {
    expect(alarm).toMatchObject({ AlarmActions: [{ Ref: "AlarmTopic" }], AlarmDescription: expect.any(String) });
  }
});

test("every alarm on how the work stands asks for a metric that the sweep writes", async () => {
  const log: Log = { ...silent, metrics: (_event, fields) => void Object.assign(written, fields) };
  const written: Record<string, any> = {};
  await measure(
    controlPlane({
      settings: readPlaneSettings({ ...process.env, WAYBILL_STAGE: "dev" }),
      edges: { ...processEdges(noQueues, db), log },
    }),
    system("test"),
    { expired: 0, again: 0 },
  );
  const [{ Namespace, Dimensions, Metrics }] = written["_aws"].CloudWatchMetrics;

  // That one is record-result's, as messages come: tests/work/results/proof.test.ts.
  const ofWork = propertiesOf("AWS::CloudWatch::Alarm").filter(
    (alarm) => alarm["Namespace"] === Namespace && alarm["MetricName"] !== "RefusedMessages",
  );
  const names = Metrics.map(({ Name }: { Name: string }) => Name);
  expect(ofWork).toHaveLength(5);
  for (const alarm of ofWork) {
    expect(names).toContain(alarm["MetricName"]);
    expect(alarm["Dimensions"]).toEqual(Dimensions[0].map((Name: string) => ({ Name, Value: written[Name] })));
  }
  const sweep = functions().find(({ FunctionName }) => FunctionName === "waybill-dev-sweep");
  expect(sweep?.["Environment"].Variables.WAYBILL_STAGE).toBe("dev");
});

test("what an alarm tells of has its row in the table of the alarms", () => {
  const page = readFileSync("docs/operate.md", "utf8");
  const ofWork = propertiesOf("AWS::CloudWatch::Alarm").filter((alarm) => alarm["Namespace"] === "Waybill");

  for (const alarm of ofWork) expect(page).toContain(`| \`${alarm["MetricName"]}\` |`);
});

test("every function that no API stands before has an alarm on its errors, and the API has one on its own", () => {
  const watched = propertiesOf("AWS::CloudWatch::Alarm")
    .filter((alarm) => alarm["MetricName"] === "Errors")
    .map((alarm) => alarm["Dimensions"][0].Value.Ref);
  const behindApi = propertiesOf("AWS::ApiGatewayV2::Integration").map(
    ({ IntegrationUri }) => IntegrationUri["Fn::GetAtt"][0],
  );
  const others = all("AWS::Lambda::Function")
    .map(([name]) => name)
    .filter((name) => !behindApi.includes(name));

  expect(new Set(watched)).toEqual(new Set(others));
  const ofApi = propertiesOf("AWS::CloudWatch::Alarm").find((alarm) => alarm["MetricName"] === "5xx");
  expect(ofApi?.["Dimensions"]).toEqual([{ Name: "ApiId", Value: { Ref: "HttpApi" } }]);
});

test("a single dead letter is enough for its alarm", () => {
  const alarms = propertiesOf("AWS::CloudWatch::Alarm").filter(
    (alarm) => alarm["MetricName"] === "ApproximateNumberOfMessagesVisible",
  );

  expect(alarms).toHaveLength(6);
  for (const alarm of alarms) {
    expect(alarm).toMatchObject({ Threshold: 0, ComparisonOperator: "GreaterThanThreshold", EvaluationPeriods: 1 });
  }
});

test("the sweep runs every minute", () => {
  const rules = propertiesOf("AWS::Events::Rule");

  expect(rules.map((rule) => rule["ScheduleExpression"])).toEqual(["rate(1 minute)"]);
});

test("the addresses of the API and of every queue are told", () => {
  const names = consumed().map(([name]) => `${name}Url`);

  expect(Object.keys(template.Outputs)).toEqual(expect.arrayContaining(["HttpApiUrl", ...names]));
});
