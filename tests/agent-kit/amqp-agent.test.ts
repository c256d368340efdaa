import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "amqplib";
import { beforeEach, describe, expect, test } from "vitest";
import { deleteTopology } from "../../lib/agent-kit/transports/amqp-topology.ts";
import { over, until } from "../support/agents/agent.ts";
import { startProxy } from "../support/http/proxy.ts";
import { amqpQueues } from "../support/queues/amqp.ts";
import { findBroker, findOwnBroker, type OwnBroker, prefix } from "../support/queues/rabbitmq.ts";

const found = await findBroker();
const findOwn = findOwnBroker();

function agentsOver(queues: ReturnType<typeof amqpQueues>) {
  const tools = over(queues);
  return { ...tools, ...tools.probes() };
}

describe.skipIf(found === undefined)("agents over AMQP", () => {
  const queues = amqpQueues(found);
  const { ask, cancel, listen, folder, done, start } = agentsOver(queues);
  const heard = listen();
  beforeEach(async () => {
    await queues.empty("research");
  });

  test("work goes on while its connection is cut, is done once, and its message is gone at the end", async () => {
    const proxy = await startProxy(queues.address());
    const agent = await start("cut", {}, proxy.url);
    const parameters = { name: "cut", file: join(folder, "cut") };
    const asked = await ask("research", "probe.until", parameters);
    await until("it is running", () => done("cut") === 1);

    proxy.behave("hang up");
    proxy.cut("rst");
    await until("it is noticed", () => agent.stderr().includes("broker connection lost"));
    proxy.behave("pass");
    await until("its message is lent again", async () => {
      const { visible } = await queues.counts("research");
      return visible === 0 && proxy.taken() >= 4;
    });
    writeFileSync(parameters.file, "");

    expect((await heard.result(asked)).status).toBe("completed");
    await until("all was told", () => heard.output(asked).toString() === "cut waits\ncut goes on\n");
    expect(await agent.stop()).toEqual({ code: 0, signal: null });
    expect(await queues.left("research")).toBe(0);
    expect(done("cut")).toBe(1);
    // Asked again after its end it answers again, in an envelope of its own: at least once, and one result.
    expect(new Set(heard.results(asked).map((message) => JSON.stringify(message.payload))).size).toBe(1);
    await proxy.close();
  });

  test("of two agents on one queue the free one does the next work, and what a stopping one has not started", async () => {
    const busy = await start("busy", { AGENT_CONCURRENCY: "1", AGENT_GRACE_SECONDS: "20" });
    const file = join(folder, "two");
    const first = await ask("research", "probe.until", { name: "first", file });
    await until("it is running", () => done("first") === 1);
    const waits = await ask("research", "probe.tell", { name: "waits" });
    await until("it is lent to the busy one", async () => (await queues.counts("research")).visible === 0);

    const free = await start("free");
    await until("both listen", async () => (await queues.listeners("research")) === 4);
    const next = await ask("research", "probe.tell", { name: "next" });
    expect((await heard.result(next)).status).toBe("completed");
    expect(new Set(heard.statuses(waits).map(({ payload }) => payload.status))).toEqual(new Set(["held"]));
    const stopped = busy.stop();

    expect((await heard.result(waits)).status).toBe("completed");
    expect(heard.results(first)).toEqual([]);
    writeFileSync(file, "");
    expect((await heard.result(first)).status).toBe("completed");
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect([done("first"), done("waits"), done("next")]).toEqual([1, 1, 1]);
    await free.crash();
  });

  test("what a killed agent had in hand is at once with another", async () => {
    const killed = await start("killed");
    const parameters = { name: "killed", file: join(folder, "killed") };
    const asked = await ask("research", "probe.silent", parameters);
    await until("it is running", () => done("killed") === 1);
    const heir = await start("heir");
    await until("both listen", async () => (await queues.listeners("research")) === 4);

    await killed.crash();
    await until("the other one does it", () => done("killed") === 2);
    writeFileSync(parameters.file, "");

    expect((await heard.result(asked)).status).toBe("completed");
    await heir.crash();
  });

  test("a cancelled reaches an agent whose places are taken, past all that waits", async () => {
    const agent = await start("full", { AGENT_CONCURRENCY: "1" });
    const never = { name: "full", file: join(folder, "never") };
    const running = await ask("research", "probe.until", never);
    await until("it is running", () => done("full") === 1);
    const waiting = [];
    for (let i = 0; i < 20; i++) waiting.push(await ask("research", "probe.tell", { name: "behind" }));

    await cancel(running);

    for (const asked of waiting) expect((await heard.result(asked)).status).toBe("completed");
    expect(heard.results(running)).toEqual([]);
    expect(done("behind")).toBe(20);
    await agent.crash();
  });

  test("an agent whose queue was removed and at once made anew does what comes to the new one", async () => {
    const agent = await start("deaf");
    await until("it listens", async () => (await queues.listeners("research")) === 2);

    await queues.remake("research");
    const asked = await ask("research", "probe.tell", { name: "after" });

    expect((await heard.result(asked)).status).toBe("completed");
    expect(await agent.stop()).toEqual({ code: 0, signal: null });
    expect(await queues.left("research")).toBe(0);
  });

  test("an agent on a broker that knows nothing yet makes its queue, and what it says is kept", async () => {
    const bare = prefix();
    const agent = await start("bare", { RABBITMQ_PREFIX: bare });
    const connection = await connect(queues.address());
    const channel = await connection.createChannel();
    const isThere = async (queue: string) => {
      const looking = await connection.createChannel();
      looking.on("error", () => {});
      return await looking.checkQueue(queue).catch(() => false as const);
    };
    await until("its queue is there", () => isThere(`${bare}agent.research`));
    await until("it has what it needs to answer", async () => {
      const queue = await isThere(`${bare}agent.research`);
      return queue && queue.consumerCount === 2;
    });
    const broken = { from_agent: "orchestrator", message_id: crypto.randomUUID() };

    channel.publish(`${bare}waybill.work`, "research", Buffer.from(JSON.stringify(broken)));

    const answer = await until("it has answered", async () => await channel.get(`${bare}results`, { noAck: true }));
    expect(JSON.parse(answer.content.toString())).toMatchObject({
      type: "error",
      payload: { error_code: 5003, failed_message_id: broken.message_id },
    });
    expect(answer.properties).toMatchObject({ type: "error", contentType: "application/json", deliveryMode: 2 });
    await agent.crash();
    await deleteTopology(connection, ["research"], bare);
    await connection.close();
  });
});

describe.skipIf(findOwn === undefined)("agents over a broker of their own", () => {
  let broker: OwnBroker;
  const queues = amqpQueues(async () => {
    // Two seconds instead of half an hour.
    broker = (await findOwn?.("consumer_timeout = 2000")) as OwnBroker;
    return broker;
  });
  const { ask, listen, folder, done, start } = agentsOver(queues);
  const heard = listen();

  beforeEach(async () => {
    await queues.empty("research");
  });

  test("work that takes longer than the broker lets a message be kept is done, once", async () => {
    const agent = await start("careful", { AMQP_ACK_SECONDS: "1", AGENT_CONCURRENCY: "1" });
    const parameters = { name: "careful", file: join(folder, "careful") };
    const asked = await ask("research", "probe.silent", parameters, { lease_seconds: 1 });
    const waits = await ask("research", "probe.tell", { name: "waits" });

    // A sign of life comes three times a second.
    await until("it has run for much longer", () => heard.statuses(asked).length > 12);
    expect(agent.stderr()).not.toContain("broker connection lost");
    const stopped = agent.stop();
    const again = await until("what it has not started is there again", () => queues.take("research"));
    writeFileSync(parameters.file, "");

    expect(JSON.parse(again)).toEqual(waits.message);
    expect((await heard.result(asked)).status).toBe("completed");
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect([done("careful"), done("waits")]).toEqual([1, 0]);
  });

  test("where it is kept for too long after all, the broker gives it again, and the work is still done once", async () => {
    const agent = await start("careless", { AGENT_CONCURRENCY: "1" });
    const parameters = { name: "careless", file: join(folder, "careless") };
    const asked = await ask("research", "probe.until", parameters);

    await until("the broker has had enough", () => agent.stderr().includes("PRECONDITION"));
    writeFileSync(parameters.file, "");

    expect((await heard.result(asked)).status).toBe("completed");
    await agent.stop();
    expect(done("careless")).toBe(1);
  });

  test("a broker that is killed in the middle of the work and comes back gets its steps and its result", async () => {
    const agent = await start("restart");
    const parameters = { name: "restart", file: join(folder, "restart") };
    const asked = await ask("research", "probe.until", parameters);
    await until("it is running", () => done("restart") === 1);

    await broker.kill();
    await until("it is noticed", () => agent.stderr().includes("broker connection lost"));
    writeFileSync(parameters.file, "");
    await until("the work has ended", () => agent.stderr().includes(`"work ended","task_id":"${asked.task_id}"`));
    await broker.start();
    await queues.connect();

    expect((await heard.result(asked)).status).toBe("completed");
    await until("all was told", () => heard.output(asked).toString() === "restart waits\nrestart goes on\n");
    const after = await ask("research", "probe.tell", { name: "after" });
    expect((await heard.result(after)).status).toBe("completed");
    await agent.stop();
    expect(await queues.left("research")).toBe(0);
    expect([done("restart"), done("after")]).toEqual([1, 1]);
  });
});
