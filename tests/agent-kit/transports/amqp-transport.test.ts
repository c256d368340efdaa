import { connect } from "amqplib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { topology } from "../../../lib/agent-kit/transports/amqp-topology.ts";
import { amqpTransport } from "../../../lib/agent-kit/transports/amqp-transport.ts";
import type { Delivery, Transport } from "../../../lib/agent-kit/transports/transport.ts";
import { envelope, until } from "../../support/agents/agent.ts";
import { startProxy } from "../../support/http/proxy.ts";
import { amqpQueues } from "../../support/queues/amqp.ts";
import { findBroker } from "../../support/queues/rabbitmq.ts";

const found = await findBroker();

describe.skipIf(found === undefined)("the AMQP transport", () => {
  const queues = amqpQueues(found);
  const open: Transport[] = [];

  function transport({ url = queues.address(), visibilitySeconds = 30, ackSeconds = 600, concurrency = 2 } = {}) {
    const queue = { transport: "amqp" as const, url, prefix: queues.prefix, ackSeconds };
    const made = amqpTransport({ concurrency, visibilitySeconds, pollSeconds: 1, queue }, "research", 10);
    open.push(made);
    return made;
  }
  const one = async (from: Transport): Promise<Delivery> =>
    await until("a message is there", async () => (await from.receive(1))[0]);
  const letter = (id = "1") => ({
    id,
    body: JSON.stringify({ ...envelope("orchestrator"), type: "work_status", payload: {} }),
  });

  beforeEach(async () => {
    await queues.empty("research");
  });
  afterEach(async () => {
    for (const made of open.splice(0)) await made.close?.();
  });

  test("a message given back comes again at once, to another, under the same name and counted", async () => {
    const [first, second] = [transport(), transport()];
    await queues.put("research", "ünlike any");
    const delivery = await one(first);
    await first.stop?.();
    await delivery.release();

    const again = await one(second);

    expect(again).toMatchObject({ id: delivery.id, body: "ünlike any", receiveCount: 2 });
    expect(delivery.receiveCount).toBe(1);
    await again.accept();
    await second.close?.();
    expect(await queues.left("research")).toBe(0);
  });

  test("a message that nobody keeps comes again; one that is kept does not", async () => {
    const agent = transport({ visibilitySeconds: 0.2 });
    await queues.put("research", "kept");
    const kept = await one(agent);
    const extending = setInterval(() => void kept.extend(), 50);
    await queues.put("research", "forgotten");
    const forgotten = await one(agent);

    const again = await one(agent);

    expect(again).toMatchObject({ body: "forgotten", receiveCount: 2 });
    // Too late: it is in other hands, and this must not take it from them.
    await forgotten.accept();
    await again.accept();
    clearInterval(extending);
    await kept.accept();
    await agent.close?.();
    expect(await queues.left("research")).toBe(0);
  });

  test("dealing with a message twice leaves the others in hand", async () => {
    const agent = transport();
    for (const name of ["twice", "other"]) await queues.put("research", name);
    const [twice, other] = [await one(agent), await one(agent)];

    await twice.accept();
    await twice.accept();
    await twice.reject();
    await other.accept();

    await agent.close?.();
    expect(await queues.left("research")).toBe(0);
  });

  test("dealing with a message whose connection was lost harms nothing: it comes again", async () => {
    const proxy = await startProxy(queues.address());
    const agent = transport({ url: proxy.url });
    await queues.put("research", "lost");
    const lost = await one(agent);
    proxy.cut("rst");
    const again = await one(agent);

    await lost.accept();
    await lost.extend();
    await lost.reject();
    await lost.release();

    expect(again.body).toBe("lost");
    await again.accept();
    await agent.close?.();
    await proxy.close();
    expect(await queues.left("research")).toBe(0);
    expect(await queues.deadLetters("research")).toEqual([]);
  });

  test("a message that is acked early can still be given back", async () => {
    const agent = transport({ ackSeconds: 0 });
    await queues.put("research", JSON.stringify(envelope("research")));
    const delivery = await one(agent);
    await delivery.extend();
    await agent.stop?.();

    await delivery.release();

    expect(await queues.take("research")).toBe(delivery.body);
  });

  test("sending answers what the broker has, tells what it has not, and never throws", async () => {
    const proxy = await startProxy(queues.address());
    const agent = transport({ url: proxy.url });
    proxy.behave("hang up");

    const away = await agent.send([letter("a")]);
    proxy.behave("pass");
    const back = await agent.send([letter("a"), letter("b")]);

    expect(away).toEqual({ sent: [], error: expect.any(Error) });
    expect(back).toEqual({ sent: ["a", "b"] });
    await proxy.close();
  });

  test("what no queue would get is not taken for sent, and the queue is made anew", async () => {
    const agent = transport();
    expect(await agent.send([letter()])).toEqual({ sent: ["1"] });
    const names = topology(queues.prefix);
    const connection = await connect(queues.address());
    const channel = await connection.createChannel();
    await channel.deleteQueue(names.resultsQueue);

    const lost = await agent.send([letter("lost")]);
    const again = await agent.send([letter("again")]);

    expect(lost).toEqual({
      sent: [],
      error: expect.objectContaining({ message: expect.stringContaining("no queue") }),
    });
    expect(again).toEqual({ sent: ["again"] });
    expect(await channel.checkQueue(names.resultsQueue)).toMatchObject({ messageCount: 1 });
    await connection.close();
  });

  test("a queue that is removed is made anew, and what is sent to it arrives", async () => {
    const agent = transport();
    const names = topology(queues.prefix);
    await queues.put("research", "before");
    await (await one(agent)).accept();
    const connection = await connect(queues.address());
    const channel = await connection.createChannel();
    await channel.deleteQueue(names.agentQueue("research"));
    await connection.close();

    const after = await until("it is there and listened to again", async () => {
      await queues.put("research", "after");
      return (await agent.receive(1))[0];
    });

    expect(after.body).toBe("after");
  });

  test("receiving throws while the broker is away, and stopping does not wait for it", async () => {
    const proxy = await startProxy(queues.address());
    proxy.behave("hang up");
    const agent = transport({ url: proxy.url });

    await expect(agent.receive(1)).rejects.toThrow(/Socket closed|ECONNRESET/);
    await agent.stop?.();

    expect(await agent.receive(1)).toEqual([]);
    await agent.close?.();
    await proxy.close();
  });

  test("work goes to the agent that has a free place, not to a busy one", async () => {
    const [busy, free] = [transport({ concurrency: 1 }), transport({ concurrency: 3 })];
    await queues.put("research", "first");
    const first = await one(busy);
    await free.receive(1);
    for (const name of ["a", "b", "c"]) await queues.put("research", name);

    const taken = [await one(free), await one(free), await one(free)];

    expect(taken.map(({ body }) => body)).toEqual(["a", "b", "c"]);
    await Promise.all([first, ...taken].map((delivery) => delivery.accept()));
  });
});
