import { expect, test } from "vitest";
import { changesBetween, forgotten, type Template, tellChanges } from "../../bin/deploy/changes.ts";

const fn = (key: string, memory = 512) => ({
  Type: "AWS::Lambda::Function",
  Properties: { Code: { S3Key: key }, MemorySize: memory },
});
const queue = (QueueName: string) => ({ Type: "AWS::SQS::Queue", Properties: { QueueName } });
const said = (parameters: Record<string, string>): Template => ({ Metadata: { Waybill: { parameters } } });

test("where the code alone is another nothing is told", () => {
  const before = { Resources: { A: fn("one"), Work: queue("waybill-work") } };
  const after = { Resources: { A: fn("two"), Work: queue("waybill-work") } };

  expect(tellChanges(changesBetween(before, after))).toEqual([]);
});

test("what comes, goes and becomes another is told, more than three of a kind by their number", () => {
  const many = (memory: number) => Object.fromEntries(["A", "B", "C", "D"].map((name) => [name, fn("x", memory)]));
  const before = {
    ...said({ alarmEmail: "a@b.example" }),
    Resources: { ...many(512), Mail: { Type: "AWS::SNS::Subscription" } },
  };
  const after = { ...said({ leaseSeconds: "90" }), Resources: { ...many(256), Work: queue("waybill-work") } };

  expect(tellChanges(changesBetween(before, after))).toEqual([
    "  alarmEmail: a@b.example → the default",
    "  leaseSeconds: the default → 90",
    "  + Work  AWS::SQS::Queue",
    "  - Mail  AWS::SNS::Subscription",
    "  ~ 4 ×  AWS::Lambda::Function  MemorySize",
  ]);
});

test("an SSM parameter that was changed meanwhile is told by what it held and holds", () => {
  const holding = (text: string): Template => ({
    Metadata: { Waybill: { ssm: { "/waybill/prod/database-url": text } } },
  });

  expect(tellChanges(changesBetween(holding("postgres://a@h/d"), holding("postgres://b@h/d")))).toEqual([
    "  /waybill/prod/database-url: postgres://a@h/d → postgres://b@h/d",
  ]);
  expect(tellChanges(changesBetween({}, holding("postgres://a@h/d")))).toEqual([]);
});

test("queues that go, by name or by resource, are those whose messages are lost", () => {
  const before = { Resources: { Work: queue("waybill-work"), Old: queue("waybill-old"), Kept: queue("waybill-kept") } };
  const after = { Resources: { Work: queue("other-work"), Kept: queue("waybill-kept") } };

  expect(changesBetween(before, after).queuesLost).toEqual(["waybill-old", "waybill-work"]);
  expect(changesBetween({}, after).queuesLost).toEqual([]);
});

test("what the deploy before was told, and nothing says now, would be forgotten", () => {
  const before = said({ alarmEmail: "a@b.example", network: "vpc" });

  expect(forgotten(before, { network: "public" })).toEqual([{ name: "alarmEmail", value: "a@b.example" }]);
  expect(forgotten(before, { alarmEmail: "", network: "vpc" })).toEqual([]);
  expect(forgotten({}, {})).toEqual([]);
});
