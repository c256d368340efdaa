import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { SQSClient } from "@aws-sdk/client-sqs";
import { connect } from "amqplib";
import { declareTopology, deleteTopology } from "../../lib/agent-kit/transports/amqp-topology.ts";
import { envelope } from "../../lib/protocol/envelope.ts";
import { ORCHESTRATOR, serialiseMessage } from "../../lib/protocol/messages.ts";
import { lineOf } from "../../lib/terminal/table.ts";
import { findBroker, prefix } from "../../tests/support/queues/rabbitmq.ts";
import { startChild } from "../child.ts";
import { median } from "../measure.ts";
import { callsOfBridge, callsOfSdk, consume, makeQueue, publish, sendToSqs, takeFromSqs } from "./ends.ts";

/** `npm run bench:bridge`: messages a second over the bridge, beside each of its ends alone, in turn in the same run. */
const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "2000" },
    rounds: { type: "string", default: "15" },
    // Whether the ends alone call SQS as everybody does, or as the bridge does.
    ends: { type: "string", default: "sdk" },
  },
});
const count = Number(values.messages);
const rounds = Number(values.rounds);
if (!(count >= 100) || !(rounds > 0) || !/^(sdk|own)$/.test(values.ends)) {
  throw new Error("Usage: npm run bench:bridge -- [--messages N] [--rounds N] [--ends sdk|own]");
}

const access = { AWS_ACCESS_KEY_ID: "bench", AWS_SECRET_ACCESS_KEY: "bench", AWS_REGION: "eu-central-1" };
Object.assign(process.env, access);
const found = await findBroker();
if (found === undefined) throw new Error("There is no RabbitMQ. Set RABBITMQ_URL or install rabbitmq-server.");
const broker = await found();
const emulator = startChild(new URL("../sqs-server.ts", import.meta.url));
const { endpoint } = (await emulator.hear()) as { endpoint: string };
const sqs = new SQSClient({ endpoint, useQueueUrlAsEndpoint: false });
process.env["AWS_ENDPOINT_URL_SQS"] = endpoint;
const calls = values.ends === "own" ? await callsOfBridge() : callsOfSdk(sqs);
const rabbit = await connect(broker.url);
const before = prefix();
const names = await declareTopology(rabbit, ["code"], before);
const bodies = Array.from({ length: count }, (_, i) => bodyOf(i));

const line = lineOf(-18, 8, 14, 14, 20, 34);
type Rates = Record<"bridge" | "takes" | "gives", number>;
const work = await makeQueue(sqs, `work-${randomUUID()}`);
const results = await makeQueue(sqs, `results-${randomUUID()}`);
const apart = await makeQueue(sqs, `apart-${randomUUID()}`);
// One process for all rounds, as it runs in practice: a fresh one would be measured while it is being compiled.
const bridge = startChild(new URL("../../localstack/bridge/main.ts", import.meta.url), {
  AGENT_QUEUES: JSON.stringify({ code: work }),
  RESULTS_QUEUE_URL: results,
  RABBITMQ_URL: broker.url,
  RABBITMQ_PREFIX: before,
  BRIDGE_PORT: "0",
  LOG_LEVEL: "error",
});
const { ready } = (await bridge.hear()) as { ready: string };
// It may stand still when this process is ended.
process.once("exit", () => process.kill(bridge.pid, "SIGCONT"));
/** Microseconds of processor time that the clients have used, without the emulator and the broker. */
const cpu = { out: { bridge: 0, ends: 0 }, in: { bridge: 0, ends: 0 } };
const out: Rates[] = [];
const into: Rates[] = [];
try {
  // The first round warms everything up and does not count.
  for (let round = 0; round <= rounds; round++) {
    const measured = { out: await outbound(), in: await inbound() };
    if (round === 0) {
      for (const way of Object.values(cpu)) Object.assign(way, { bridge: 0, ends: 0 });
      continue;
    }
    out.push(measured.out);
    into.push(measured.in);
  }
  console.log(`${count} messages of ${bodies[0]?.length} bytes, ${rounds} rounds in turn; medians, messages/s\n`);
  console.log(line("", "bridge", "takes alone", "gives alone", "to the slower end", "CPU µs a message, bridge / ends"));
  print("SQS -> RabbitMQ", out, cpu.out);
  print("RabbitMQ -> SQS", into, cpu.in);
} finally {
  await bridge.stop({ graceMs: 15_000 });
  await deleteTopology(rabbit, ["code"], before);
  await rabbit.close();
  await emulator.stop({ graceMs: 2_000 });
  await broker.stop();
}

async function outbound(): Promise<Rates> {
  await sendToSqs(calls, apart, bodies);
  const takes = await end("out", async () => await takeFromSqs(calls, apart, count));
  const gives = await end("out", async () => await publish(rabbit, names.work, "code", bodies));
  await empty(names.agentQueue("code"));
  const rate = await throughBridge("out", async () => await sendToSqs(calls, work, bodies));
  await empty(names.agentQueue("code"));
  return { bridge: rate, takes, gives };
}

async function inbound(): Promise<Rates> {
  const gives = await end("in", async () => await sendToSqs(calls, apart, bodies));
  await takeFromSqs(calls, apart, count);
  process.kill(bridge.pid, "SIGSTOP");
  const other = `${before}bench`;
  const channel = await rabbit.createChannel();
  await channel.assertQueue(other, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await publish(rabbit, "", other, bodies);
  const takes = await end("in", async () => await consume(rabbit, other, count));
  await channel.deleteQueue(other);
  await channel.close();
  const rate = await throughBridge("in", async () => await publish(rabbit, names.results, "code", bodies));
  await takeFromSqs(calls, results, count);
  return { bridge: rate, takes, gives };
}

/** Fills a side while the bridge stands still, then lets it run; messages a second until it has moved the last. */
async function throughBridge(way: "out" | "in", fill: () => Promise<unknown>): Promise<number> {
  const moved = async () => {
    const answer = await fetch(`${ready}/counters`);
    return ((await answer.json()) as Record<typeof way, { moved: number }>)[way].moved;
  };
  process.kill(bridge.pid, "SIGCONT");
  const target = (await moved()) + count;
  process.kill(bridge.pid, "SIGSTOP");
  await fill();
  const used = cpuOf(bridge.pid);
  const started = performance.now();
  process.kill(bridge.pid, "SIGCONT");
  while ((await moved()) < target) await sleep(25);
  const rate = (count * 1000) / (performance.now() - started);
  cpu[way].bridge += cpuOf(bridge.pid) - used;
  return rate;
}

/** Measures an end in this process. */
async function end(way: "out" | "in", run: () => Promise<number>): Promise<number> {
  const used = process.cpuUsage();
  const rate = await run();
  const { user, system } = process.cpuUsage(used);
  cpu[way].ends += user + system;
  return rate;
}

/** What another process has used, in microseconds; NaN where the system does not tell. */
function cpuOf(pid: number): number {
  const file = `/proc/${pid}/stat`;
  if (!existsSync(file)) return Number.NaN;
  const fields = readFileSync(file, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function empty(queue: string): Promise<void> {
  const channel = await rabbit.createChannel();
  await channel.purgeQueue(queue);
  await channel.close();
}

function print(name: string, rates: Rates[], used: { bridge: number; ends: number }): void {
  const of = (key: keyof Rates) => median(rates.map((rate) => rate[key]));
  const ratio = median(rates.map((rate) => rate.bridge / Math.min(rate.takes, rate.gives)));
  const cells = [of("bridge"), of("takes"), of("gives")].map((rate) => rate.toFixed(0));
  for (const rate of rates) {
    console.error(`  ${name}: ${rate.bridge.toFixed(0)} beside ${rate.takes.toFixed(0)} and ${rate.gives.toFixed(0)}`);
  }
  const [ofBridge, ofEnds] = [used.bridge, used.ends].map((all) => (all / count / rates.length).toFixed(0));
  console.log(line(name, ...cells, ratio.toFixed(2), `${ofBridge} / ${ofEnds}`));
}

/** A work request as agents get it. */
function bodyOf(index: number): string {
  const payload = {
    task_id: randomUUID(),
    attempt: 1,
    work_type: "code.run",
    request_text: `message ${index}`,
    parameters: { command: "echo", args: ["hello"] },
    hints: {},
    lease_seconds: 60,
    timeout_seconds: 300,
  };
  const identity = { messageId: randomUUID(), at: new Date(), traceId: randomUUID(), requestId: randomUUID() };
  return serialiseMessage(envelope("work_request", ORCHESTRATOR, "code", payload, identity));
}
