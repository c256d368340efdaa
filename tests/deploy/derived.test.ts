import { expect, test } from "vitest";
import { derived } from "../../deploy/derived.ts";

const given = (values: Record<string, string>) => async (name: string) => values[name] ?? "";
const make = async (name: string, values: Record<string, string>) => await derived[name]?.(given(values));

test.each(["", "aws_iam", "AWS_IAM ", "CUSTOM", "NONE"])(
  "authorization %j comes to mean nobody nowhere",
  async (word) => {
    await expect(make("guard", { authorization: word })).rejects.toThrow("must be KEYS or AWS_IAM");
    await expect(make("gatewayGuard", { authorization: word })).rejects.toThrow("must be KEYS or AWS_IAM");
    await expect(make("urlAuthorizer", { authorization: word })).rejects.toThrow("must be KEYS or AWS_IAM");
  },
);

test.each([
  [{}, "subnetIds and securityGroupIds"],
  [{ subnetIds: "subnet-1" }, "subnetIds and securityGroupIds"],
  [{ subnetIds: " , ", securityGroupIds: "sg-1" }, "subnetIds and securityGroupIds"],
])("a VPC without subnets or security groups is an error: %o", async (values, message) => {
  await expect(make("vpc", { network: "vpc", ...values })).rejects.toThrow(message);
});

test("a network that nobody knows is an error", async () => {
  await expect(make("vpc", { network: "private" })).rejects.toThrow("network must be public or vpc, not private");
  await expect(make("networkPolicies", { network: "" })).rejects.toThrow("network must be");
});

test("a CA of the package must be there; one of the runtime is not ours to look for", async () => {
  await expect(make("files", { databaseCa: "nowhere.pem" })).rejects.toThrow("there is no file nowhere.pem");
  expect(await make("files", { databaseCa: "/var/runtime/ca-cert.pem" })).toEqual([]);
  expect(await make("files", { databaseCa: "README.md" })).toEqual(["README.md"]);
});

test("queues refuse plain text, but for an emulator that is spoken to in plain text", async () => {
  const names = Object.keys(((await make("queuePolicies", {})) as { Resources: object }).Resources);

  expect(names).toEqual(expect.arrayContaining(["WorkQueuePolicy", "WorkDeadLettersPolicy", "CodeQueuePolicy"]));
  expect(await make("queuePolicies", { endpoint: "https://sqs.example" })).toHaveProperty("Resources");
  expect(await make("queuePolicies", { endpoint: "http://127.0.0.1:4566" })).toEqual({});
});

test("functions may make queues of agents where the stage says so, and of agents alone", async () => {
  expect(await make("makeQueuesPolicy", { prefix: "waybill-prod" })).toEqual({ Ref: "AWS::NoValue" });
  expect(await make("makeQueuesPolicy", { agentQueueCreate: "false" })).toEqual({ Ref: "AWS::NoValue" });
  expect(JSON.stringify(await make("makeQueuesPolicy", { agentQueueCreate: "true", prefix: "waybill-prod" }))).toMatch(
    /sqs:CreateQueue.*:waybill-prod-agent-\*"/,
  );
});
