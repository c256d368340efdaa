import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import * as z from "zod";
import { startAgent } from "../../lib/agent-kit/agent.ts";
import { defineWork } from "../../lib/agent-kit/define-work.ts";
import { amqpTransport } from "../../lib/agent-kit/transports/amqp-transport.ts";
import { type AgentSettings, readAgentEnv } from "../../lib/agent-kit/transports/env.ts";
import { sqsTransport } from "../../lib/agent-kit/transports/sqs-transport.ts";
import type { Transport } from "../../lib/agent-kit/transports/transport.ts";
import { until } from "../support/agents/agent.ts";
import { identityOf } from "../support/agents/keys.ts";
import { startProxy } from "../support/http/proxy.ts";
import { overBoth } from "../support/queues/transports.ts";

vi.setConfig({ testTimeout: 60_000 });

// What an agent says before it calls its author's code, and what that is worth when the code ends its process.
overBoth((queues, { probes, ask, cancel, listen }) => {
  const { folder, done, dataOf, start: startProbe } = probes();
  const heard = listen();
  const started: { stop: () => unknown; stopped: Promise<unknown> }[] = [];
  beforeEach(async () => {
    await queues.empty("research");
  });
  afterEach(async () => {
    for (const agent of started) agent.stop();
    await Promise.all(started.splice(0).map(async ({ stopped }) => await stopped));
  });

  /** Whether no message is there or in the hands of agents; RabbitMQ does not say how many are lent. */
  const isGone = async () => {
    const { visible, lent = 0 } = await queues.counts("research");
    return visible + lent === 0;
  };

  const start = async (journal: string, env: NodeJS.ProcessEnv = {}, address?: string) => {
    const agent = await startProbe(journal, env, address);
    started.push({ stop: agent.stop, stopped: agent.exit });
    return agent;
  };

  test("work that kills its process at once is started once an attempt, and each attempt ends as retryable", async () => {
    const asked = await ask("research", "probe.die", { name: "dies" });
    const { task_id, request_id } = asked;
    for (const attempt of [1, 2]) {
      if (attempt === 2) await ask("research", "probe.die", { name: "dies" }, { task_id, request_id, attempt });
      const dying = await start("dies");
      expect((await dying.exit).signal).toBe("SIGKILL");
      await until("it was told that it runs", () => heard.told(asked, "executing", attempt).length > 0);
      const next = await start("dies");
      expect(await heard.result(asked, attempt)).toMatchObject({
        status: "failed",
        retryable: true,
        error_message: `its process ended in the middle of attempt ${attempt}`,
      });
      await until("its message is gone", isGone);
      await next.stop();
      expect(done("dies")).toBe(attempt);
    }
    for (const attempt of [1, 2]) {
      const [sign] = heard.told(asked, "executing", attempt);
      const result = heard.results(asked).find(({ payload }) => payload.attempt === attempt);
      expect(sign?.payload.start_id).toBe(result?.payload.start_id);
    }
    expect(heard.results(asked).length).toBe(2);
  });

  test("without its journal it is started as often as its message is delivered, five times", async () => {
    const asked = await ask("research", "probe.die", { name: "forgotten" });
    for (let time = 1; time <= 5; time++) {
      const dying = await start(`forgotten ${time}`);
      await dying.exit;
    }
    await start("forgotten 6");
    await until("it is a dead letter", async () => (await queues.deadLetters("research")).length > 0);

    expect(done("forgotten")).toBe(5);
    await until(
      "each was told",
      () => new Set(heard.statuses(asked).map(({ payload }) => payload.start_id)).size === 5,
    );
  });

  test("a crash before the queue has its sign costs nothing: the same attempt does the work", async () => {
    const proxy = await startProxy(queues.address());
    const first = await start("unsaid", { AGENT_CONCURRENCY: "1" }, proxy.url);
    const before = { name: "before", file: join(folder, "before") };
    await ask("research", "probe.until", before);
    await until("the place is taken", () => done("before") === 1);
    const asked = await ask("research", "probe.tell", { name: "unsaid" });
    await until("it is held", () => heard.told(asked, "held")[0]);
    proxy.behave("hang up");
    proxy.cut("rst");
    writeFileSync(before.file, "");
    await until("it waits", () => first.stderr().includes("work waits"));
    await first.crash();
    await proxy.close();
    expect(done("unsaid")).toBe(0);

    await start("unsaid");
    expect((await heard.result(asked)).status).toBe("completed");
    expect(done("unsaid")).toBe(1);
    expect(heard.results(asked).length).toBe(1);
  });

  /** An agent whose queue takes nothing that it says until `open` is called. */
  const startUnheard = (data: string) => {
    const calls: string[] = [];
    let [isOpen, refused, received] = [false, 0, 0];
    const unheard = (settings: AgentSettings, name: string): Transport => {
      const { queue } = settings;
      const real =
        queue.transport === "sqs"
          ? sqsTransport({ ...settings, queue })
          : amqpTransport({ ...settings, queue }, name, 100);
      return {
        receive: async (max) => {
          const deliveries = await real.receive(max);
          received += deliveries.length;
          return deliveries;
        },
        send: async (letters) => {
          if (isOpen) return await real.send(letters);
          refused += 1;
          return { sent: [], error: new Error("the queue takes nothing") };
        },
        stop: async () => await real.stop?.(),
        close: async () => await real.close?.(),
      };
    };
    const work = defineWork(z.strictObject({ name: z.string() }), async ({ name }) => void calls.push(name));
    const env = {
      ...process.env,
      ...queues.env("research"),
      ...identityOf("research"),
      WAYBILL_AGENT_DATA: dataOf(data),
    };
    const settings = readAgentEnv(1, { ...env, AGENT_POLL_SECONDS: "1", AGENT_VISIBILITY_SECONDS: "2" });
    const agent = startAgent({ name: "research", work: { "probe.call": work }, transport: unheard }, settings);
    started.push(agent);
    const waits = () => until("it waits to be heard", () => refused > 0);
    return { agent, calls, waits, received: () => received, open: () => (isOpen = true) };
  };
  test("work is not begun before the queue has its sign, and its message is kept from others", async () => {
    const { calls, waits, open } = startUnheard("late");
    const asked = await ask("research", "probe.call", { name: "late" });
    await waits();
    await start("late other");
    // Longer than its visibility.
    await sleep(3000);
    expect([calls, heard.of(asked)]).toEqual([[], []]);
    open();

    expect((await heard.result(asked)).status).toBe("completed");
    expect(calls).toEqual(["late"]);
    expect(heard.of(asked)[0]?.payload).toMatchObject({ status: "executing", attempt: 1 });
  });

  test("a later attempt that comes in that wait is told before the work begins", async () => {
    const { calls, waits, received, open } = startUnheard("risen");
    const asked = await ask("research", "probe.call", { name: "risen" });
    await waits();
    const { task_id, request_id } = asked;
    await ask("research", "probe.call", { name: "risen" }, { task_id, request_id, attempt: 2 });
    await until("both are taken", () => received() === 2);
    open();

    expect((await heard.result(asked, 2)).status).toBe("completed");
    expect(heard.told(asked, "executing", 2).length).toBe(1);
    expect(calls).toEqual(["risen"]);
  });

  test("a cancel in that wait is obeyed at once and confirmed, and the next work has the place", async () => {
    const { calls, waits, received, open } = startUnheard("cancelled");
    const asked = await ask("research", "probe.call", { name: "cancelled" });
    await waits();
    await cancel(asked);
    await until("the cancel is there", () => received() === 2);
    await until("it is gone", isGone);
    const next = await ask("research", "probe.call", { name: "next" });
    open();

    expect((await heard.cancelled(asked)).payload.message).toBe("cancelled before the work started");
    expect((await heard.result(next)).status).toBe("completed");
    expect(calls).toEqual(["next"]);
  });

  test("a stop in that wait ends the agent at once, and the work is handed back when it can be told", async () => {
    const { agent, calls, waits } = startUnheard("stopped");
    const asked = await ask("research", "probe.call", { name: "stopped" });
    await waits();
    agent.stop();
    await agent.stopped;
    const second = startUnheard("stopped");
    second.open();

    expect((await heard.handedBack(asked)).payload).toMatchObject({ attempt: 1, status: "approved" });
    expect([...calls, ...second.calls]).toEqual([]);
    second.agent.stop();
    await second.agent.stopped;
    expect(await isGone()).toBe(true);
  });
});
