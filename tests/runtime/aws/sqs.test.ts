import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { CreateQueueCommand } from "@aws-sdk/client-sqs";
import fc from "fast-check";
import { beforeEach, expect, test, vi } from "vitest";
import { queueSettings } from "../../../lib/runtime/aws/queue-settings.ts";
import { batches, type Outgoing, sendAll } from "../../../lib/runtime/aws/sqs.ts";
import { readSettings } from "../../../lib/runtime/settings.ts";
import { receive, sqs } from "../../support/http/events.ts";

const MIB = 1_048_576;
let queueUrl: string;

beforeEach(async () => {
  queueUrl = (await sqs.send(new CreateQueueCommand({ QueueName: `s-${randomUUID()}` }))).QueueUrl ?? "";
});

const message = (body: string, more: Partial<Outgoing> = {}): Outgoing => ({
  id: randomUUID(),
  queueUrl,
  body,
  ...more,
});

async function all(): Promise<string[]> {
  const bodies: string[] = [];
  for (;;) {
    const { Records } = await receive(queueUrl);
    if (Records.length === 0) return bodies;
    bodies.push(...Records.map(({ body }) => body));
  }
}

test("what the queue has taken is answered by id, over as many batches as it needs", async () => {
  const messages = Array.from({ length: 23 }, (_, n) => message(`body ${n}`));

  const { sent, error } = await sendAll(messages);

  expect([sent.toSorted(), error]).toEqual([messages.map(({ id }) => id).toSorted(), undefined]);
  expect((await all()).toSorted()).toEqual(messages.map(({ body }) => body).toSorted());
});

test("three messages of 400 kB do not fit one batch and are all sent", async () => {
  const messages = [1, 2, 3].map((n) => message(String(n).repeat(400_000)));

  expect(batches(messages).map((batch) => batch.length)).toEqual([2, 1]);
  expect((await sendAll(messages)).sent).toHaveLength(3);
});

test("a message of exactly 1 MiB is sent, and one that is over fails alone", async () => {
  const fits = message("x".repeat(MIB));
  const over = message("x".repeat(MIB + 1));
  const small = message("small");

  const { sent, error } = await sendAll([fits, over, small]);

  expect(sent.toSorted()).toEqual([fits.id, small.id].toSorted());
  expect(error).toBeInstanceOf(Error);
});

test("one queue that is not there takes nothing from the others", async () => {
  const lost = message("lost", { queueUrl: `${queueUrl}-not-there` });
  const kept = message("kept");

  const { sent, error } = await sendAll([lost, kept]);

  expect([sent, (error as Error).name]).toEqual([[kept.id], "QueueDoesNotExist"]);
});

test("a message that SQS refuses within a batch is not among the sent, and the error names no body", async () => {
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      response.setHeader("content-type", "application/x-amz-json-1.0");
      const failed = { Id: "1", SenderFault: true, Code: "InvalidMessageContents", Message: "bad characters" };
      response.end(
        JSON.stringify({ Successful: [{ Id: "0", MessageId: "m", MD5OfMessageBody: MD5_OF_GOOD }], Failed: [failed] }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const before = process.env["AWS_ENDPOINT_URL_SQS"];
  process.env["AWS_ENDPOINT_URL_SQS"] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  vi.resetModules();
  const fresh = await import("../../../lib/runtime/aws/sqs.ts");
  const [good, bad] = [message("good"), message("s3cret")];

  const { sent, error } = await fresh.sendAll([good, bad]);

  process.env["AWS_ENDPOINT_URL_SQS"] = before;
  server.closeAllConnections();
  server.close();
  expect(sent).toEqual([good.id]);
  expect((error as Error).message).toBe("SQS refused a message: InvalidMessageContents bad characters");
});

const MD5_OF_GOOD = "755f85c2723bb39381c7379a604160d8";

test("nothing to send is nothing sent", async () => {
  expect(await sendAll([])).toEqual({ sent: [] });
});

test("attributes and delays go with their message", async () => {
  await sendAll([message("told", { attributes: { reason: "a reason" } }), message("later", { delaySeconds: 900 })]);

  const { Records } = await receive(queueUrl);

  expect(Records.map(({ body }) => body)).toEqual(["told"]);
  expect(Records[0]?.messageAttributes).toMatchObject({ reason: { StringValue: "a reason" } });
});

test("batches keep every message once, in the order of its queue, within ten entries and 1 MiB", () => {
  const arbitrary = fc.array(
    fc.record({
      queue: fc.constantFrom("a", "b", "c"),
      bytes: fc.oneof(fc.nat(300), fc.nat(MIB)),
      reason: fc.nat(1000),
    }),
    { maxLength: 40 },
  );

  fc.assert(
    fc.property(arbitrary, (wanted) => {
      const messages = wanted.map(({ queue, bytes, reason }, n) => ({
        id: String(n),
        queueUrl: queue,
        body: "é".repeat(bytes / 2),
        attributes: { reason: "r".repeat(reason) },
      }));
      const made = batches(messages);
      for (const batch of made) {
        const sizes = batch.map(
          ({ body, attributes }) => Buffer.byteLength(body) + Buffer.byteLength(attributes?.["reason"] ?? "") + 12,
        );
        expect(batch.length).toBeLessThanOrEqual(10);
        expect(new Set(batch.map(({ queueUrl: url }) => url)).size).toBe(1);
        expect(batch.length === 1 || sizes.reduce((sum, size) => sum + size) <= MIB).toBe(true);
      }
      for (const queue of ["a", "b", "c"]) {
        const sent = made.flat().filter(({ queueUrl: url }) => url === queue);
        expect(sent).toEqual(messages.filter(({ queueUrl: url }) => url === queue));
      }
    }),
    { numRuns: 100 },
  );
});

test("the queues are read from the environment; an agent named like a property of objects has none", () => {
  const queues = readSettings(queueSettings);

  expect(Object.keys(queues.agents)).toEqual(["infra", "desktop", "code", "research"]);
  expect(queues.agents["constructor"]).toBeUndefined();
});

test.each([
  ["no JSON", "nonsense", 'AGENT_QUEUES must be JSON, such as {"code": "https://…/waybill-agent-code"}'],
  ["no object", "[]", "AGENT_QUEUES must be an object, not a list"],
  ["no URL", '{"code":"queue"}', "AGENT_QUEUES.code must be the URL of a queue"],
])("an AGENT_QUEUES that is %s is named", (_what, AGENT_QUEUES, fault) => {
  expect(() => readSettings(queueSettings, { ...process.env, AGENT_QUEUES })).toThrow(fault);
});
