import { randomUUID } from "node:crypto";
import { CreateQueueCommand, DeleteQueueCommand } from "@aws-sdk/client-sqs";
import { type ChannelModel, connect } from "amqplib";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { declareTopology, deleteTopology, topology } from "../../../lib/agent-kit/transports/amqp-topology.ts";
import { sqsQueues } from "../../../lib/runtime/aws/queues.ts";
import { type Bridge, startBridge } from "../../../localstack/bridge/start.ts";
import { agentQueue, put, sqs } from "../../support/http/events.ts";
import { startProxy } from "../../support/http/proxy.ts";
import {
  bridgeSettings,
  countInSqs,
  deadLettersOf,
  envelope,
  takeFromRabbit,
  takeFromSqs,
} from "../../support/queues/bridge.ts";
import { type Broker, findBroker, prefix, remakeQueue } from "../../support/queues/rabbitmq.ts";

const found = await findBroker();

describe.skipIf(found === undefined)("the bridge", () => {
  const before = prefix();
  const names = topology(before);
  const results = process.env["RESULTS_QUEUE_URL"] ?? "";
  const agents = ["code", "late"];
  let broker: Broker;
  let rabbit: ChannelModel;
  const running: Bridge[] = [];

  const start = async (more: Parameters<typeof bridgeSettings>[2] = {}) => {
    const bridge = await startBridge(bridgeSettings(broker.url, before, more));
    running.push(bridge);
    return bridge;
  };
  const say = async (body: Buffer, properties: object = {}) => {
    const channel = await rabbit.createConfirmChannel();
    let returned = false;
    channel.on("return", () => (returned = true));
    channel.publish(names.results, "code", body, { mandatory: true, persistent: true, ...properties });
    await channel.waitForConfirms();
    await channel.close();
    if (returned) throw new Error("no queue got what the agent said");
  };
  const healthOf = async (bridge: Bridge) => {
    const answer = await fetch(`${bridge.url}/health`);
    return { code: answer.status, ...((await answer.json()) as Record<string, any>) } as Record<string, any>;
  };
  const answers = async (bridge: Bridge, code: number) => {
    await vi.waitUntil(async () => (await healthOf(bridge))["code"] === code, { timeout: 10_000 });
  };

  /** Longer than one call of the bridge waits. */
  const takesNoMore = async (bridge: Bridge) => {
    const { in_flight } = bridge.counters.out;
    const until = Date.now() + 1500;
    await vi.waitUntil(() => Date.now() > until, { timeout: 5000 });
    expect(bridge.counters.out.in_flight).toBe(in_flight);
  };

  beforeAll(async () => {
    broker = (await found?.()) as Broker;
    rabbit = await connect(broker.url);
    await declareTopology(rabbit, agents, before);
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((bridge) => bridge.stop()));
  });
  afterAll(async () => {
    await deleteTopology(rabbit, agents, before);
    await rabbit.close();
    await broker.stop();
  });

  test("brings an agent its request byte for byte, with the envelope's properties", async () => {
    const message = envelope('Grüße, 世界,  tab\t, "quoted", \\u0041');
    const body = `  ${JSON.stringify(message).replace('"payload"', '"payload" ')}\n`;
    await start();

    await put(agentQueue("code"), body);

    const [got] = await takeFromRabbit(rabbit, names.agentQueue("code"));
    expect(got?.content.toString()).toBe(body);
    expect(got?.fields).toMatchObject({ exchange: names.work, routingKey: "code" });
    expect(got?.properties).toMatchObject({
      messageId: message["message_id"],
      correlationId: message["trace_id"],
      headers: { trace_id: message["trace_id"] },
      type: "work_request",
      timestamp: Date.parse("2026-03-01T12:00:00Z") / 1000,
      contentType: "application/json",
      deliveryMode: 2,
    });
    await vi.waitUntil(async () => (await countInSqs(agentQueue("code"))) === 0);
  });

  test("tags the queues that it reads, so that nobody takes what waits at the broker for lost", async () => {
    const isCarried = async (agent: string) =>
      await sqsQueues(sqs).isCarried(agentQueue(agent), AbortSignal.timeout(5000));
    await start();

    await vi.waitUntil(async () => await isCarried("code"), { timeout: 10_000 });
    expect(await isCarried("research")).toBe(false);
  });

  test("brings what an agent says to SQS byte for byte", async () => {
    const body = `{ "text": "Grüße, 世界\\u0000",\t"n": 12345678901234567890, "n": 1.0 }\n`;
    const bridge = await start();

    await say(Buffer.from(body), { contentType: "application/json" });
    await say(Buffer.from("\uFEFFplain text, no envelope"), { contentType: "text/plain" });

    const got = await takeFromSqs(results, 2);
    expect(new Set(got.map(({ Body }) => Body))).toEqual(new Set([body, "\uFEFFplain text, no envelope"]));
    await vi.waitUntil(() => bridge.counters.in.in_flight === 0);
  });

  test("lets a body through that is JSON and no envelope, and counts", async () => {
    const bridge = await start();

    await put(agentQueue("code"), '{"message_id": "not a UUID", "type": 7}');
    await put(agentQueue("code"), "42");

    const got = await takeFromRabbit(rabbit, names.agentQueue("code"), 2);
    expect(new Set(got.map(({ content }) => content.toString()))).toEqual(
      new Set(['{"message_id": "not a UUID", "type": 7}', "42"]),
    );
    expect(got.map(({ properties }) => properties.messageId as unknown)).toEqual([undefined, undefined]);
    await vi.waitUntil(() => bridge.counters.out.in_flight === 0);
    expect(bridge.counters.out).toMatchObject({ moved: 2, failed: 0, poison: 0 });
  });

  test("buries a request that is no JSON on both sides, with the evidence, and blocks no other", async () => {
    const bridge = await start();
    const good = JSON.stringify(envelope());

    await put(agentQueue("code"), "{ this is no JSON ü");
    await put(agentQueue("code"), good);

    const [got] = await takeFromRabbit(rabbit, names.agentQueue("code"));
    expect(got?.content.toString()).toBe(good);
    const [letter] = await takeFromRabbit(rabbit, names.deadLetterQueue(names.agentQueue("code")));
    expect(letter?.content.toString()).toBe("{ this is no JSON ü");
    expect(letter?.properties.headers).toMatchObject({ reason: "is not JSON", source: names.agentQueue("code") });
    const [mirrored] = await takeFromSqs(await deadLettersOf(agentQueue("code")));
    expect(mirrored).toMatchObject({
      Body: "{ this is no JSON ü",
      MessageAttributes: {
        reason: { StringValue: "is not JSON" },
        source_message_id: { StringValue: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      },
    });
    await vi.waitUntil(async () => (await countInSqs(agentQueue("code"))) === 0);
    expect(bridge.counters.out.poison).toBe(1);
  });

  test.each([
    ["over 1 MiB", Buffer.alloc(1_048_577, "x"), /has 1048577 bytes; SQS takes 1048576/],
    ["not UTF-8", Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/],
    ["with a character that SQS refuses", Buffer.from("a\u0000b"), /character that SQS does not take/],
    ["empty", Buffer.alloc(0), /is empty/],
  ])("buries what an agent says that is %s, and blocks no other", async (_, body, reason) => {
    const bridge = await start();

    await say(body, { messageId: "m1", userId: "guest", headers: { CC: ["nowhere"] } });
    await say(Buffer.from("after it"));

    expect((await takeFromSqs(results))[0]?.Body).toBe("after it");
    const [letter] = await takeFromRabbit(rabbit, names.deadLetterQueue(names.resultsQueue));
    expect(letter?.content.equals(body)).toBe(true);
    expect(letter?.properties).toMatchObject({ messageId: "m1", headers: { reason: expect.stringMatching(reason) } });
    const [mirrored] = await takeFromSqs(await deadLettersOf(results));
    expect(JSON.parse(mirrored?.Body ?? "")).toMatchObject({ bytes: body.length, source_message_id: "m1" });
    await vi.waitUntil(() => bridge.counters.in.in_flight === 0);
    expect(bridge.counters.in).toMatchObject({ poison: 1, moved: 1 });
  });

  test("what cannot be buried yet holds up nothing", async () => {
    const RedrivePolicy = JSON.stringify({
      deadLetterTargetArn: "arn:aws:sqs:eu-central-1:000000000000:gone",
      maxReceiveCount: 5,
    });
    const made = new CreateQueueCommand({ QueueName: `r-${randomUUID()}`, Attributes: { RedrivePolicy } });
    const { QueueUrl: resultsUrl = "" } = await sqs.send(made);
    const bridge = await start({ resultsUrl });

    await say(Buffer.alloc(0));
    for (let i = 0; i < 20; i++) await say(Buffer.from(`after it ${i}`));

    expect(await takeFromSqs(resultsUrl, 20)).toHaveLength(20);
    expect(bridge.counters.in).toMatchObject({ poison: 0, moved: 20, in_flight: 1 });
    await running.pop()?.stop();
    const channel = await rabbit.createChannel();
    await channel.purgeQueue(names.resultsQueue);
    await channel.close();
    await sqs.send(new DeleteQueueCommand({ QueueUrl: resultsUrl }));
  });

  test("carries the largest message of SQS both ways", async () => {
    const largest = JSON.stringify({ text: "x".repeat(1_048_576 - 11) });
    await start();

    await put(agentQueue("code"), largest);
    await say(Buffer.from(largest));

    const [there] = await takeFromRabbit(rabbit, names.agentQueue("code"));
    expect(there?.content.toString() === largest).toBe(true);
    const [back] = await takeFromSqs(results);
    expect(back?.Body === largest).toBe(true);
  });

  test("finds the queue of an agent that joins later", async () => {
    const queuePrefix = `${randomUUID().slice(0, 8)}-agent-`;
    await sqs.send(new CreateQueueCommand({ QueueName: `${queuePrefix}late-dlq` }));
    const { QueueUrl = "" } = await sqs.send(new CreateQueueCommand({ QueueName: `${queuePrefix}late` }));
    await put(QueueUrl, '"early"');
    await start({ queuePrefix });

    const [got] = await takeFromRabbit(rabbit, names.agentQueue("late"));

    expect(got?.content.toString()).toBe('"early"');
    const bridge = running[0] as Bridge;
    await vi.waitUntil(() => bridge.counters.out.in_flight === 0, { timeout: 5000 });
    await sqs.send(new DeleteQueueCommand({ QueueUrl }));
    // The end of an agent is no fault.
    await vi.waitUntil(() => !bridge.agents().includes("late"), { timeout: 5000 });
    expect(bridge.counters.out.failed).toBe(0);
  });

  test("declares anew what somebody removed, and loses nothing", async () => {
    const bridge = await start();
    await answers(bridge, 200);
    const channel = await rabbit.createChannel();
    await channel.deleteQueue(names.agentQueue("code"));
    await channel.deleteExchange(names.results);
    await channel.deleteQueue(names.resultsQueue);

    await put(agentQueue("code"), '"to nobody"');

    const queue = names.agentQueue("code");
    await vi.waitUntil(() => bridge.counters.out.moved === 1, { timeout: 10_000 });
    expect((await takeFromRabbit(rabbit, queue))[0]?.content.toString()).toBe('"to nobody"');
    expect(bridge.counters.out.failed).toBeGreaterThan(0);
    await channel.deleteExchange(names.work);
    await put(agentQueue("code"), '"to nowhere"');
    expect((await takeFromRabbit(rabbit, queue))[0]?.content.toString()).toBe('"to nowhere"');
    await channel.close();
    await say(Buffer.from("heard again"));
    expect((await takeFromSqs(results))[0]?.Body).toBe("heard again");
  });

  test("hears what is said after its queue was removed and at once made anew", async () => {
    await answers(await start(), 200);

    await remakeQueue(rabbit, names, names.resultsQueue);
    await declareTopology(rabbit, agents, before);
    await say(Buffer.from("after"));

    expect((await takeFromSqs(results))[0]?.Body).toBe("after");
  });

  test("takes only as much as it may have in hand while the broker does not answer, keeps it, and goes on", async () => {
    const proxy = await startProxy(broker.url);
    const bridge = await start({ rabbitUrl: proxy.url, inHand: 20, visibilitySeconds: 2 });
    await answers(bridge, 200);
    proxy.behave("swallow");
    const bodies = Array.from({ length: 150 }, (_, i) => JSON.stringify(envelope(`${i}`)));

    await Promise.all(bodies.map(async (body) => await put(agentQueue("code"), body)));
    await vi.waitUntil(() => bridge.counters.out.in_flight >= 20, { timeout: 5000 });

    // Longer than the messages would stay invisible: who prolongs them is the bridge.
    const until = Date.now() + 3500;
    await vi.waitUntil(() => Date.now() > until, { timeout: 10_000 });
    expect(bridge.counters.out.in_flight).toBe(20);
    expect(bridge.counters.out).toMatchObject({ moved: 0, redelivered: 0 });
    proxy.behave("pass");
    proxy.cut("rst");
    const got = await takeFromRabbit(rabbit, names.agentQueue("code"), 150);
    expect(new Set(got.map(({ content }) => content.toString())).size).toBe(150);
    await bridge.stop();
    await proxy.close();
  });

  test("has no more than 16 MiB of a queue in hand", async () => {
    const proxy = await startProxy(broker.url);
    const bridge = await start({ rabbitUrl: proxy.url });
    await answers(bridge, 200);
    proxy.behave("swallow");
    const largest = (i: number) => JSON.stringify({ i, text: "x".repeat(1_048_000) });
    await Promise.all(Array.from({ length: 24 }, async (_, i) => await put(agentQueue("code"), largest(i))));
    await vi.waitUntil(() => bridge.counters.out.in_flight === 16, { timeout: 10_000 });
    await takesNoMore(bridge);

    proxy.behave("pass");
    proxy.cut("rst");

    expect((await takeFromRabbit(rabbit, names.agentQueue("code"), 24)).length).toBeGreaterThanOrEqual(24);
    await bridge.stop();
    await proxy.close();
  });

  test("says of each side that it is away", async () => {
    const proxy = await startProxy(broker.url);
    const bridge = await start({ rabbitUrl: proxy.url });
    await answers(bridge, 200);

    proxy.behave("hang up");
    proxy.cut("rst");

    await answers(bridge, 503);
    expect(await healthOf(bridge)).toMatchObject({
      sqs: "ok",
      rabbitmq_publish: expect.not.stringMatching(/^ok$/),
      out: { in_flight: 0 },
    });
    proxy.behave("pass");
    await answers(bridge, 200);
    await proxy.close();
    const other = await start({ resultsUrl: `${results}-missing` });
    await vi.waitUntil(async () => (await healthOf(other))["rabbitmq_publish"] === "ok", { timeout: 5000 });
    expect(await healthOf(other)).toMatchObject({ code: 503, sqs: expect.stringMatching(/exist/i) });
  });

  test("gives back what it cannot finish when it is stopped", async () => {
    const proxy = await startProxy(broker.url);
    const bridge = await start({ rabbitUrl: proxy.url, visibilitySeconds: 600, graceSeconds: 1 });
    await answers(bridge, 200);
    proxy.behave("swallow");
    await put(agentQueue("code"), '"kept"');
    await vi.waitUntil(() => bridge.counters.out.in_flight === 1, { timeout: 5000 });

    await bridge.stop();

    expect((await takeFromSqs(agentQueue("code")))[0]?.Body).toBe('"kept"');
    await proxy.close();
  });
});
