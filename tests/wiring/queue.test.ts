import { randomUUID } from "node:crypto";
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
} from "@aws-sdk/client-sqs";
import type { Context, SQSEvent, SQSRecord } from "aws-lambda";
import { beforeEach, expect, test } from "vitest";
import { type Message, parseMessage, serialiseMessage } from "../../lib/protocol/messages.ts";
import { sqsQueues } from "../../lib/runtime/aws/queues.ts";
import { pauseSeconds } from "../../lib/wiring/failures.ts";
import { queue } from "../../lib/wiring/queue.ts";
import { functionPlane } from "../../lib/wiring/serve.ts";
import * as samples from "../protocol/samples.ts";
import { defineAgents } from "../support/database/registry.ts";
import { agentQueue, put, receive, sqs } from "../support/http/events.ts";

const plane = functionPlane(sqsQueues());
let source: string;
let deadLetters: string;

beforeEach(async () => {
  const name = `q-${randomUUID()}`;
  deadLetters = (await sqs.send(new CreateQueueCommand({ QueueName: `${name}-dlq` }))).QueueUrl ?? "";
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: deadLetters, AttributeNames: ["QueueArn"] }),
  );
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: Attributes?.["QueueArn"], maxReceiveCount: 5 });
  source = (await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes: { RedrivePolicy } }))).QueueUrl ?? "";
  for (const agent of ["code", "infra"]) while ((await receive(agentQueue(agent))).Records.length > 0);
});

const status = (more: Partial<Message> = {}): Message =>
  ({ ...samples.status, message_id: randomUUID(), trace_id: randomUUID(), ...more }) as Message;

async function deliver(...bodies: string[]): Promise<SQSEvent> {
  for (const body of bodies) await put(source, body);
  return await receive(source);
}

const ids = (event: SQSEvent) => event.Records.map(({ messageId }) => messageId);
const none = async () => [];

test("the valid messages of a batch are handed over at once, and the failures are reported one by one", async () => {
  const messages = [status(), status(), status()];
  const event = await deliver(...messages.map((message) => serialiseMessage(message)));
  const batches: string[][] = [];

  const answer = await queue(plane, async (received) => {
    batches.push(received.map(({ message }) => message.message_id));
    return received.slice(1, 2).map(({ recordId }) => ({ recordId, error: new Error("no") }));
  })(event);

  expect(batches).toEqual([messages.map(({ message_id }) => message_id)]);
  expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: ids(event)[1] }] });
});

test("a batch that fails as a whole is delivered again as a whole", async () => {
  const event = await deliver(serialiseMessage(status()), serialiseMessage(status()));

  const answer = await queue(plane, async () => {
    throw new Error("no");
  })(event);

  expect(answer.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)).toEqual(ids(event));
});

test("a batch whose connection was lost is run once more before it is delivered again", async () => {
  let runs = 0;

  const answer = await queue(plane, async () => {
    if (++runs === 1) throw Object.assign(new Error("lost"), { code: "ECONNRESET" });
    return [];
  })(await deliver(serialiseMessage(status())));

  expect([runs, answer.batchItemFailures]).toEqual([2, []]);
});

test("a message that does not parse is answered with 5003 and buried with its evidence; the others go on", async () => {
  const good = status();
  const bad = { ...status(), type: "work_result", payload: { task_id: randomUUID(), attempt: 1, status: "fine" } };
  const event = await deliver(JSON.stringify(bad), serialiseMessage(good));
  const handled: string[] = [];

  const answer = await queue(plane, async (received) => {
    handled.push(...received.map(({ message }) => message.message_id));
    return [];
  })(event);

  expect([answer.batchItemFailures, handled]).toEqual([[], [good.message_id]]);
  const [letter, ...more] = (await receive(deadLetters)).Records;
  expect(more).toEqual([]);
  expect(letter?.body).toBe(JSON.stringify(bad));
  const evidence = Object.entries(letter?.messageAttributes ?? {}).map(([name, value]) => [
    name,
    (value as { StringValue?: string }).StringValue,
  ]);
  expect(Object.fromEntries(evidence)).toEqual({
    kind: "invalid",
    error_code: "5003",
    reason: expect.stringContaining("payload.status must be one of"),
    source_arn: event.Records[0]?.eventSourceARN,
    message_id: ids(event)[0],
  });
  const [reply] = (await receive(agentQueue("code"))).Records;
  const parsed = parseMessage(reply?.body ?? "");
  expect(parsed).toMatchObject({
    ok: true,
    message: {
      type: "error",
      from_agent: "orchestrator",
      to_agent: "code",
      trace_id: bad.trace_id,
      request_id: bad.request_id,
      payload: { error_code: 5003, failed_message_id: bad.message_id, task_id: bad.payload.task_id },
    },
  });
});

test.each([
  ["no JSON", "hello"],
  ["a sender that does not exist", JSON.stringify({ ...status(), type: "?", from_agent: "ghost" })],
  ["a sender that every object has", JSON.stringify({ ...status(), type: "?", from_agent: "constructor" })],
  ["an error, which would go round for ever", JSON.stringify({ ...status(), type: "error", payload: {} })],
  ["the deepest nesting", `${"[".repeat(100_000)}${"]".repeat(100_000)}`],
])("of a message that cannot be answered (%s) the letter remains", async (_what, text) => {
  const event = { Records: [record(text)] } as unknown as SQSEvent;

  const answer = await queue(plane, none)(event);

  expect(answer.batchItemFailures).toEqual([]);
  expect((await receive(deadLetters)).Records.map(({ body }) => body)).toEqual([text]);
  for (const agent of ["code", "infra"]) expect((await receive(agentQueue(agent))).Records).toEqual([]);
});

test("a sender of the registry is answered on the queue of its definition", async () => {
  const QueueName = `own-${randomUUID()}`;
  const { QueueUrl = "" } = await sqs.send(new CreateQueueCommand({ QueueName }));
  await defineAgents(plane.db, { name: "poet" });
  await plane.db`update agent_definitions set queue_url = ${QueueUrl} where agent_name = 'poet'`;
  const event = await deliver(
    JSON.stringify({ ...status({ from_agent: "poet" }), type: "?" }),
    JSON.stringify({ ...status({ from_agent: "infra" }), type: "?" }),
  );

  expect(await queue(plane, none)(event)).toEqual({ batchItemFailures: [] });

  const answers = [...(await receive(QueueUrl)).Records, ...(await receive(agentQueue("infra"))).Records];
  const told = answers.map(({ body }) => JSON.parse(body));
  expect(told).toMatchObject([
    { to_agent: "poet", payload: { error_code: 5003 } },
    { to_agent: "infra", payload: { error_code: 5003 } },
  ]);
});

test("while the registry does not answer, letters of senders that it may know stay on the queue, and no others", async () => {
  const away = Object.assign(async () => {
    throw Object.assign(new Error("away"), { code: "ECONNREFUSED" });
  }, plane.db);
  const cut = { ...plane, edges: { ...plane.edges, db: away as unknown as typeof plane.db } };
  const poets = JSON.stringify({ ...status({ from_agent: "poet" }), type: "?" });
  // It names no work, and so no team whose agent it might be.
  const infras = JSON.stringify({ ...status({ from_agent: "infra" }), type: "?", payload: {} });
  const event = await deliver(poets, infras, "hello");
  const idOf = (body?: string) => event.Records.find((one) => one.body === body)?.messageId;

  expect(await queue(cut, none)(event)).toEqual({ batchItemFailures: [{ itemIdentifier: idOf(poets) }] });

  const buried = (await receive(deadLetters)).Records.map(({ body }) => body);
  expect(new Set(buried)).toEqual(new Set([infras, "hello"]));
});

function record(body: string) {
  const arn = `arn:aws:sqs:eu-central-1:000000000000:${source.split("/").at(-1)}`;
  return { messageId: randomUUID(), body, eventSourceARN: arn, attributes: {}, messageAttributes: {} };
}

test("twenty-five poisoned messages are all buried, in batches", async () => {
  const records = Array.from({ length: 25 }, (_, n) => record(`poison ${n}`));

  const answer = await queue(plane, none)({ Records: records } as unknown as SQSEvent);

  expect(answer.batchItemFailures).toEqual([]);
  const bodies = new Set<string>();
  for (let turn = 0; turn < 10 && bodies.size < 25; turn++) {
    for (const { body } of (await receive(deadLetters)).Records) bodies.add(body);
  }
  expect(bodies.size).toBe(25);
});

test("a message that cannot be buried stays on its queue", async () => {
  const event = await deliver("poison", serialiseMessage(status()));
  await sqs.send(new DeleteQueueCommand({ QueueUrl: deadLetters }));

  const answer = await queue(plane, none)(event);

  expect(answer.batchItemFailures).toEqual([{ itemIdentifier: ids(event)[0] }]);
});

test("a message whose sender cannot be answered stays on its queue and is not buried yet", async () => {
  const url = (await sqs.send(new GetQueueUrlCommand({ QueueName: source.split("/").at(-1) }))).QueueUrl ?? "";
  const agents = { code: `${url}-that-is-not-there` };
  const away = { ...plane, settings: { ...plane.settings, queues: { ...plane.settings.queues, agents } } };
  const event = await deliver(JSON.stringify({ ...status(), type: "?" }));

  const answer = await queue(away, none)(event);

  expect(answer.batchItemFailures).toEqual([{ itemIdentifier: ids(event)[0] }]);
  expect((await receive(deadLetters)).Records).toEqual([]);
});

test("a queue without a dead letter queue keeps its poison", async () => {
  const name = `plain-${randomUUID()}`;
  await sqs.send(new CreateQueueCommand({ QueueName: name }));
  const event = { Records: [{ ...record("poison"), eventSourceARN: `arn:aws:sqs:eu-central-1:000000000000:${name}` }] };

  const answer = await queue(plane, none)(event as unknown as SQSEvent);

  expect(answer.batchItemFailures).toHaveLength(1);
});

/** What SQL states and what no database says, thrown for every message of a batch that has come so often. */
async function failing(error: unknown, times: number) {
  const event = await deliver(serialiseMessage(status()));
  for (const { attributes } of event.Records) attributes.ApproximateReceiveCount = String(times);
  const answer = await queue(plane, async (received) => received.map(({ recordId }) => ({ recordId, error })))(event);
  const [letter] = (await receive(deadLetters)).Records;
  const [reply] = (await receive(agentQueue("code"))).Records;
  const said = Object.entries(letter?.messageAttributes ?? {}).map(([name, value]) => [
    name,
    (value as { StringValue?: string }).StringValue,
  ]);
  return {
    again: answer.batchItemFailures.length,
    attributes: Object.fromEntries(said),
    answered: reply !== undefined,
  };
}

test.each([
  ["CONNECTION_CLOSED", "the connection is lost"],
  ["ECONNREFUSED", "nobody listens"],
  ["57P03", "the server starts"],
  ["53300", "too many connections"],
  ["55P03", "somebody has the row"],
  ["57014", "the statement took too long"],
  ["25006", "a standby"],
  ["42P01", "not migrated yet"],
  ["42703", "a column is not there yet"],
  ["28P01", "the password was rotated"],
])("a valid message stays on its queue for as long as the database is away: %s, %s", async (code) => {
  const error = Object.assign(new Error("away"), { code });

  expect(await failing(error, 900)).toEqual({ again: 1, attributes: {}, answered: false });
});

test.each(["22003", "P0001"])(
  "a message whose data the database refuses (%s) is buried at once, with the reason, and its sender is told",
  async (code) => {
    const error = Object.assign(new Error("value out of range"), { code });

    const { again, attributes, answered } = await failing(error, 1);

    expect([again, answered]).toEqual([0, true]);
    expect(attributes).toMatchObject({
      kind: "unstorable",
      error_code: "5003",
      reason: "the database refuses it: value out of range",
    });
  },
);

test.each([
  new TypeError("cannot read properties of undefined"),
  Object.assign(new Error("cannot read properties of undefined"), { code: "E2BIG" }),
])("a fault of ours is tried five times, then the message is buried with what it said: %s", async (error) => {
  expect(await failing(error, 4)).toMatchObject({ again: 1, attributes: {} });
  expect(await failing(error, 5)).toEqual({
    again: 0,
    answered: false,
    attributes: {
      kind: "failed",
      reason: "failed 5 times, at last: cannot read properties of undefined",
      source_arn: expect.stringContaining("arn:aws:sqs:"),
      message_id: expect.any(String),
    },
  });
});

test("what failed comes again after a pause and not after the visibility timeout", async () => {
  const event = await deliver(serialiseMessage(status()));

  await queue(plane, async () => {
    throw Object.assign(new Error("away"), { code: "57P03" });
  })(event);

  expect(ids(await receive(source))).toEqual([]);
  expect(ids(await receive(source, 5))).toEqual(ids(event));
});

test("pauses grow with the age of a message, and a thousand of them are longer than a queue keeps it", () => {
  const SentTimestamp = "0";
  let seconds = 0;
  let deliveries = 0;
  const pauses: number[] = [];
  while (seconds < 4 * 86_400) {
    const pause = pauseSeconds({ attributes: { SentTimestamp } } as SQSRecord, new Date(seconds * 1000));
    pauses.push(pause);
    seconds += pause;
    deliveries++;
  }

  expect(pauses.slice(0, 3)).toEqual([2, 2, 2]);
  expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
  expect(pauses.at(-1)).toBe(600);
  expect(deliveries).toBeLessThan(1000);
  expect(pauseSeconds({ attributes: {} } as SQSRecord, new Date())).toBe(2);
});

const never = async () => await new Promise<never>(() => {});
/** A context that has 30 seconds for the batch, and then hardly any to bury what failed. */
const late = () => {
  const times = [30_000];
  return { getRemainingTimeInMillis: () => times.shift() ?? 3_100 } as Context;
};

test("what cannot be buried in the time of the function stays on the queue, and the others do not come again", async () => {
  const silent = { ...plane, edges: { ...plane.edges, queues: { ...plane.edges.queues, deadLetterUrl: never } } };
  const event = await deliver("poison", serialiseMessage(status()));

  const answer = await queue(silent, none)(event, late());

  expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: ids(event)[0] }] });
});

test("a batch is answered though nothing answers that puts messages back", async () => {
  const silent = { ...plane, edges: { ...plane.edges, queues: { ...plane.edges.queues, hold: never } } };
  const event = await deliver(serialiseMessage(status()), serialiseMessage(status()));
  const [first = ""] = ids(event);

  const answer = await queue(silent, async () => [{ recordId: first, error: new Error("no") }])(event);

  expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: first }] });
});

test("a batch of poison alone is not handed over", async () => {
  let runs = 0;

  await queue(plane, async () => {
    runs++;
    return [];
  })(await deliver("poison"));

  expect(runs).toBe(0);
});
