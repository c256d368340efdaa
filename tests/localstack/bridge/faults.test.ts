import { randomInt } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SetQueueAttributesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { type ChannelModel, connect } from "amqplib";
import type { Context, SQSEvent } from "aws-lambda";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { declareTopology, topology } from "../../../lib/agent-kit/transports/amqp-topology.ts";
import { sqsQueues } from "../../../lib/runtime/aws/queues.ts";
import { functionPlane } from "../../../lib/wiring/serve.ts";
import { type Poller, startPoller } from "../../../localstack/functions/sqs-poller.ts";
import { createQueues } from "../../../localstack/parts/queues.ts";
import { type LocalSqs, startSqs } from "../../../localstack/parts/sqs.ts";
import { knowAgents, SIGN } from "../../support/agents/keys.ts";
import { type Proxy, startProxy } from "../../support/http/proxy.ts";
import { countInSqs, deadLettersOf, takeFromRabbit, takeFromSqs } from "../../support/queues/bridge.ts";
import { BridgeProcess, sendWork, startAgent } from "../../support/queues/bridge-flow.ts";
import { findOwnBroker, type OwnBroker } from "../../support/queues/rabbitmq.ts";

const WORK = 5000;
const SQS_AWAY_MS = 20_000;
/** Longer than a request, shorter than what the broker of this test takes. */
const TOO_LARGE = "x".repeat(100_000);

const startOwn = findOwnBroker();

describe.skipIf(startOwn === undefined)("the bridge, when everything around it fails", () => {
  const seed = Number(process.env["WAYBILL_SEED"] ?? randomInt(2 ** 31));
  // In memory where there is such a folder: the emulator writes every change to disk at once.
  const path = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "waybill-sqs-"));
  const names = topology();
  let broker: OwnBroker;
  let rabbit: ChannelModel;
  let proxy: Proxy & { url: string };
  let sqs: LocalSqs;
  let urls: Record<string, string>;
  let bridge: BridgeProcess;
  let agentUrl: string;

  const startQueues = async (port: number) => await startSqs({ port, dataDir: path });

  beforeAll(async () => {
    sqs = await startQueues(0);
    // Before anything is imported that talks to SQS.
    process.env["AWS_ENDPOINT_URL_SQS"] = sqs.endpoint;
    const client = new SQSClient({ useQueueUrlAsEndpoint: false });
    urls = await createQueues(client);
    Object.assign(process.env, urls);
    // What SQS has lent to a caller that it lost comes again soon.
    const QueueUrl = urls["RESULTS_QUEUE_URL"];
    await client.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { VisibilityTimeout: "5" } }));
    agentUrl = (JSON.parse(urls["AGENT_QUEUES"] ?? "{}") as Record<string, string>)["code"] ?? "";
    broker = (await startOwn?.("max_message_size = 50000")) as OwnBroker;
    proxy = await startProxy(broker.url);
    rabbit = await connect(broker.url);
    rabbit.on("error", () => {});
    await declareTopology(rabbit, ["code"]);
    bridge = new BridgeProcess({
      AWS_ENDPOINT_URL_SQS: sqs.endpoint,
      RESULTS_QUEUE_URL: urls["RESULTS_QUEUE_URL"] ?? "",
      AGENT_QUEUES: JSON.stringify({ code: agentUrl }),
      RABBITMQ_URL: proxy.url,
      BRIDGE_VISIBILITY_SECONDS: "5",
    });
    await bridge.start();
  });
  afterAll(async () => {
    await bridge.end("SIGKILL");
    await proxy.close();
    await broker.stop();
    await sqs.stop();
    rmSync(path, { recursive: true, force: true });
  });

  test("a message over which the broker closes the channel is buried, and blocks no other", async () => {
    const { put } = await import("../../support/http/events.ts");
    const good = Array.from({ length: 30 }, (_, i) => JSON.stringify({ i }));
    await Promise.all(
      [...good.slice(0, 15), JSON.stringify(TOO_LARGE), ...good.slice(15)].map((body) => put(agentUrl, body)),
    );

    const got = await takeFromRabbit(rabbit, names.agentQueue("code"), 30);

    expect(new Set(got.map(({ content }) => content.toString()))).toEqual(new Set(good));
    const [letter] = await takeFromSqs(await deadLettersOf(agentUrl));
    expect(letter?.Body === JSON.stringify(TOO_LARGE)).toBe(true);
    expect(letter?.MessageAttributes?.["reason"]?.StringValue).toMatch(/larger than configured max size 50000/);
    const [note] = await takeFromRabbit(rabbit, names.deadLetterQueue(names.agentQueue("code")));
    expect(JSON.parse(note?.content.toString() ?? "")).toMatchObject({ bytes: TOO_LARGE.length + 2 });
    await vi.waitUntil(async () => (await countInSqs(agentUrl)) === 0, { timeout: 10_000 });
  });

  test(`${WORK} messages each way arrive, and each piece of work is done once (seed ${seed})`, {
    timeout: 400_000,
  }, async ({ annotate }) => {
    // The poller says every second that SQS is away.
    vi.spyOn(console, "error").mockReturnValue();
    const { handler } = await import("../../../functions/work/record-result.ts");
    const { send, stamp, db: pool } = functionPlane(sqsQueues());
    const poller: Poller = await startPoller(
      new SQSClient({ useQueueUrlAsEndpoint: false }),
      async (_, event) => await handler(event as SQSEvent, { getRemainingTimeInMillis: () => 30_000 } as Context),
      { functionName: "record-result", queueUrl: urls["RESULTS_QUEUE_URL"] ?? "", batchSize: 100, concurrency: 2 },
    );
    await knowAgents(pool, ["code"]);
    const agent = await startAgent(broker.url, names);
    const completed = async () => {
      const [row] = await pool<{ count: number }[]>`select count(*)::int from tasks where status = 'completed'`;
      return row?.count ?? 0;
    };
    const kill = async () => {
      await bridge.end("SIGKILL");
      await bridge.start();
    };
    const faults: Record<string, () => Promise<void>> = {
      "kills the bridge": kill,
      "kills the bridge again": kill,
      "kills the bridge a third time": kill,
      "cuts the connection": async () => proxy.cut("rst"),
      "ends the connection": async () => proxy.cut("fin"),
      "kills the broker": async () => {
        await broker.kill();
        await broker.start();
      },
      "stops SQS": async () => {
        await sqs.stop();
        await sleep(SQS_AWAY_MS);
        sqs = await startQueues(sqs.port);
      },
    };
    const [order = []] = fc.sample(fc.shuffledSubarray(Object.keys(faults), { minLength: 7 }), { seed, numRuns: 1 });
    const [points = []] = fc.sample(fc.array(fc.integer({ min: 0, max: 99 }), { minLength: 7, maxLength: 7 }), {
      seed,
      numRuns: 1,
    });
    const began = performance.now();
    const sending = sendWork(pool, WORK, send, { ...stamp, sign: SIGN });
    for (const [i, point] of points.toSorted((a, b) => a - b).entries()) {
      const name = order[i] ?? "";
      await vi.waitUntil(async () => (await completed()) >= (WORK * point) / 100, { timeout: 150_000, interval: 100 });
      await faults[name]?.();
      await annotate(
        `${Math.round(performance.now() - began)} ms: ${name} at ${point} %: ${await completed()} done, ${agent.repeats()} given twice so far`,
      );
    }
    await sending;
    await vi.waitUntil(async () => (await completed()) === WORK, { timeout: 150_000, interval: 100 });

    // Each was done once by the agent, and its result was recorded once.
    expect(agent.done.size).toBe(WORK);
    const [recorded] = await pool`
      select count(distinct task_id)::int as tasks, count(*)::int as steps, max(attempt)::int as attempts from execution_logs`;
    expect(recorded).toEqual({ tasks: WORK, steps: WORK, attempts: 1 });
    expect(await bridge.end("SIGTERM")).toBe(0);
    await agent.stop();
    await poller.stop();
    await pool.end();
  });
});
