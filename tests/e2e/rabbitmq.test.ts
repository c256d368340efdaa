import { dirname, join } from "node:path";
import { connect } from "amqplib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { topology } from "../../lib/agent-kit/transports/amqp-topology.ts";
import { freePort } from "../../localstack/parts/ports.ts";
import { clearBroker, findBroker as findStackBroker } from "../../localstack/parts/rabbitmq.ts";
import { ROOT } from "../../localstack/stack.ts";
import { type Broker, findBroker } from "../support/queues/rabbitmq.ts";
import { isRunning, launch, ownerOf, type Started, startStack, temporaryDir } from "../support/stack/stack.ts";

const found = await findBroker();
const dir = temporaryDir();
afterAll(dir.remove);

async function exitOf(started: Started): Promise<number | null> {
  return await new Promise((resolve) => started.child.once("close", (code) => resolve(code)));
}

describe.skipIf(found === undefined)("npm start -- --queue rabbitmq", () => {
  let names: string;
  let broker: Broker;
  let stack: Started;

  beforeAll(async () => {
    broker = (await found?.()) as Broker;
    const env = { RABBITMQ_URL: broker.url };
    names = (await findStackBroker(dir.path, env)).prefix;
    stack = await startStack({ dataDir: dir.path, args: ["--queue", "rabbitmq"], env });
  }, 120_000);
  afterAll(async () => {
    // Not there where it did not start.
    await (stack as Started | undefined)?.stop("SIGKILL");
    await clearBroker({ url: broker.url, prefix: names });
    await broker.stop();
  });

  test("work is done by an agent that takes it from RabbitMQ", async () => {
    const connection = await connect(broker.url);
    const channel = await connection.createChannel();
    const work = { request_text: "Do it", work_type: "code.run", parameters: { command: "echo", args: ["hello"] } };

    const submitted = await fetch(`${stack.url}/work`, {
      method: "POST",
      body: JSON.stringify(work),
      headers: ownerOf(stack),
    });
    const { task_id } = (await submitted.json()) as { task_id: string };
    const task = await (await fetch(`${stack.url}/work/${task_id}?wait=25`, { headers: ownerOf(stack) })).json();

    expect(task).toMatchObject({ status: "completed", exit_code: 0, attempt: 1 });
    // Two of its one agent process; nobody else speaks to this queue.
    expect((await channel.checkQueue(topology(names).agentQueue("code"))).consumerCount).toBe(2);
    expect(stack.output()).toMatch(/rabbitmq +amqp:\/\/\S+ \(agents of yours need RABBITMQ_PREFIX=[0-9a-f]{8}\.\)/);
    expect(stack.output()).toContain(names);
    expect(stack.output()).not.toContain("guest:guest");
    await connection.close();
  });

  test("stopped by a signal it leaves no process", async () => {
    const family = stack.family();

    expect(await stack.stop("SIGTERM")).toBe(0);

    expect(family.length).toBeGreaterThan(4);
    expect(family.filter(isRunning)).toEqual([]);
  });
});

test.skipIf(found === undefined)(
  "stacks over different folders share no name; each keeps its own, or has the one it is given",
  async () => {
    const broker = (await found?.()) as Broker;
    const prefixOf = async (folder: string, env = {}) => {
      return (await findStackBroker(folder, { RABBITMQ_URL: broker.url, ...env })).prefix;
    };
    const folders = [join(ROOT, ".waybill"), join(dirname(ROOT), "clone", ".waybill"), "a", "b"];

    const [first, second] = [await Promise.all(folders.map((folder) => prefixOf(folder))), await prefixOf("./a/")];

    expect(new Set(first).size).toBe(folders.length);
    for (const name of first) expect(name).toMatch(/^[0-9a-f]{8}\.$/);
    expect(second).toBe(first[2]);
    expect(await prefixOf("a", { RABBITMQ_PREFIX: "mine." })).toBe("mine.");
    expect(await prefixOf("a", { RABBITMQ_PREFIX: "" })).toBe("");
    await broker.stop();
  },
);

test.skipIf(found === undefined)("a broker that refuses the login is said to, without the password", async () => {
  const broker = (await found?.()) as Broker;
  const wrong = new URL(broker.url);
  wrong.password = "secret";
  const env = { RABBITMQ_URL: wrong.href };
  const started = await launch({ dataDir: dir.path, args: ["--queue", "rabbitmq"], env });

  expect(await exitOf(started)).toBe(1);
  expect(started.output()).toMatch(/refuses the login\. Look at user and password in RABBITMQ_URL/);
  expect(started.output()).not.toContain("secret");
  await broker.stop();
});

test("without a broker it does not start, and ends with the command that helps", async () => {
  const url = `amqp://guest:secret@127.0.0.1:${await freePort()}`;
  const started = await launch({ dataDir: dir.path, args: ["--queue", "rabbitmq"], env: { RABBITMQ_URL: url } });

  expect(await exitOf(started)).toBe(1);
  expect(started.output()).toContain(`RabbitMQ does not answer at ${url.replace("guest:secret@", "")} (connect`);
  expect(started.output().trim().split("\n").at(-1)).toMatch(/RABBITMQ_URL=amqp:\S+ npm start -- --queue rabbitmq$/);
  expect(started.output()).not.toContain("secret");
});

test("another queue than there is is answered with how to use it", async () => {
  const started = await launch({ dataDir: dir.path, args: ["--queue", "kafka"] });

  expect(await exitOf(started)).toBe(2);
  expect(started.output()).toContain('--queue must be sqs or rabbitmq, not "kafka"');
});
