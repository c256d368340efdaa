import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Bridge, startBridge } from "../../../localstack/bridge/start.ts";
import { agentQueue, put } from "../../support/http/events.ts";
import { bridgeSettings, countInSqs, envelope } from "../../support/queues/bridge.ts";
import { findOwnBroker, type OwnBroker } from "../../support/queues/rabbitmq.ts";

const startOwn = findOwnBroker();

describe.skipIf(startOwn === undefined)("a broker that is short of memory", () => {
  let broker: OwnBroker;
  let bridge: Bridge;

  beforeAll(async () => {
    // Its alarm is on from the start, and never ends.
    broker = (await startOwn?.("vm_memory_high_watermark.absolute = 1MB")) as OwnBroker;
    bridge = await startBridge(bridgeSettings(broker.url, "", { inHand: 10, graceSeconds: 1 }));
  });
  afterAll(async () => {
    await bridge.stop();
    await broker.stop();
  });

  test("is given no more than may be in hand; the rest waits in SQS, and health says why", async () => {
    await Promise.all(Array.from({ length: 100 }, () => put(agentQueue("code"), JSON.stringify(envelope()))));

    const health = async () => (await (await fetch(`${bridge.url}/health`)).json()) as Record<string, unknown>;
    await vi.waitUntil(async () => String((await health())["rabbitmq_publish"]).includes("low on memory"), {
      timeout: 10_000,
    });

    expect(await health()).toMatchObject({ status: "unavailable", rabbitmq_consume: "ok", sqs: "ok" });
    expect(bridge.counters.out).toMatchObject({ moved: 0, failed: 0, redelivered: 0 });
    expect(bridge.counters.out.in_flight).toBeLessThanOrEqual(60);
    await bridge.stop();
    expect(await countInSqs(agentQueue("code"))).toBe(100);
  });
});
