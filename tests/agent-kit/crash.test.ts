import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { spawnProgram, until } from "../support/agents/agent.ts";
import { startProxy } from "../support/http/proxy.ts";
import { overBoth } from "../support/queues/transports.ts";
import { anyBytes } from "./fixtures/bytes.ts";

const PROBE = "tests/agent-kit/fixtures/probe.ts";

overBoth((queues, { probes, ask, listen }) => {
  const { folder, done, start } = probes();
  const heard = listen();

  beforeEach(async () => {
    await queues.empty("research");
  });

  test("an agent that starts again knows what it has answered, and answers it without doing it", async () => {
    const first = await start("dedupe");
    const asked = await ask("research", "probe.tell", { name: "dedupe" });
    await heard.result(asked);
    await first.crash();

    const second = await start("dedupe");
    const { task_id, request_id } = asked;
    await ask("research", "probe.tell", { name: "dedupe" }, { task_id, request_id, attempt: 2 });
    const result = await heard.result(asked, 2);
    await until("its steps are told again", () => heard.steps(asked, 2).length === 4);
    await second.crash();

    expect(result).toMatchObject({ status: "completed", metrics: { doubled: 42 } });
    expect(heard.output(asked, 2).toString()).toBe("hello wörld\n");
    expect(done("dedupe")).toBe(1);
  });

  test("work that was killed in the middle ends its attempt as retryable; the next attempt starts from nothing", async () => {
    const parameters = { name: "killed", file: join(folder, "killed") };
    const first = await start("killed");
    const asked = await ask("research", "probe.until", parameters);
    await until("it has told its first output", () => heard.output(asked).length > 0);
    await first.crash();

    const second = await start("killed");
    const ended = await heard.result(asked, 1);
    expect(ended).toMatchObject({
      status: "failed",
      retryable: true,
      error_message: "its process ended in the middle of attempt 1",
    });
    await until("its step has ended", () => heard.steps(asked).some(({ status }) => status === "failed"));
    writeFileSync(parameters.file, "");
    const { task_id, request_id } = asked;
    await ask("research", "probe.until", parameters, { task_id, request_id, attempt: 2 });
    const result = await heard.result(asked, 2);
    await second.crash();

    expect(result.status).toBe("completed");
    expect(heard.output(asked, 2).toString()).toBe("killed waits\nkilled goes on\n");
    expect(done("killed")).toBe(2);
    expect(heard.results(asked).length).toBe(2);
  });

  test("work that was killed before it told a step ends its attempt as retryable too", async () => {
    const parameters = { name: "silent", file: join(folder, "silent") };
    const first = await start("silent");
    const asked = await ask("research", "probe.silent", parameters);
    await until("it has started", () => done("silent") === 1);
    await first.crash();
    writeFileSync(parameters.file, "");

    const second = await start("silent");
    expect(await heard.result(asked, 1)).toMatchObject({ status: "failed", retryable: true });
    const { task_id, request_id } = asked;
    await ask("research", "probe.silent", parameters, { task_id, request_id, attempt: 2 });
    const result = await heard.result(asked, 2);
    await second.crash();

    expect(result.status).toBe("completed");
    expect(done("silent")).toBe(2);
    expect(heard.results(asked).length).toBe(2);
  });

  test("told to stop, an agent finishes what it can, hands back what it cannot, and leaves the rest to others at once", async () => {
    const agent = await start("stop", {
      AGENT_CONCURRENCY: "2",
      AGENT_GRACE_SECONDS: "2",
      AGENT_VISIBILITY_SECONDS: "60",
    });
    const quick = { name: "quick", file: join(folder, "quick") };
    const slow = { name: "slow", file: join(folder, "never") };
    const finishes = await ask("research", "probe.until", quick);
    const handedBack = await ask("research", "probe.until", slow);
    await until("both are running", () => done("quick") + done("slow") === 2);
    const waiting = await ask("research", "probe.tell", { name: "unstarted" });
    await until("the third is held back", async () => {
      const { visible, lent = 3 } = await queues.counts("research");
      return visible === 0 && lent === 3;
    });

    const stopped = agent.stop();
    await until("it is stopping", () => agent.stderr().includes("agent stopping"));
    writeFileSync(quick.file, "");
    const again = await until("the third can be had again", () => queues.take("research"));

    expect(JSON.parse(again)).toEqual(waiting.message);
    expect((await heard.result(finishes)).status).toBe("completed");
    const message = await heard.handedBack(handedBack);
    expect(message.payload).toMatchObject({ task_id: handedBack.task_id, attempt: 1, status: "approved" });
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect(heard.results(handedBack)).toEqual([]);
    const { visible, lent = 1 } = await queues.counts("research");
    expect({ visible, lent }).toEqual({ visible: 0, lent: 1 });
    expect(done("unstarted")).toBe(0);
  });

  test("a second signal ends the agent at once", async () => {
    const agent = await start("signals", { AGENT_GRACE_SECONDS: "60" });
    const asked = await ask("research", "probe.silent", { name: "signals", file: join(folder, "never") });
    await until("it is running", () => done("signals") === 1);

    agent.child.kill("SIGINT");
    await until("it is stopping", () => agent.stderr().includes("agent stopping"));
    agent.child.kill("SIGTERM");

    expect(await agent.exit).toEqual({ code: 130, signal: null });
    expect(heard.results(asked)).toEqual([]);
  });

  test("what is said while the queue is away is sent when it is back", async () => {
    const proxy = await startProxy(queues.address());
    const agent = await start("away", {}, proxy.url);
    const parameters = { name: "away", file: join(folder, "away") };
    const asked = await ask("research", "probe.until", parameters);
    const large = await ask("research", "probe.output", { seed: "s", size: 1_000_000, piece: 100_000, text: false });
    await until("it is running", () => done("away") === 1);

    proxy.behave("hang up");
    proxy.cut("rst");
    writeFileSync(parameters.file, "");
    await until("sending has failed", () => agent.stderr().includes("messages not sent"));
    await until("the work has ended", () => agent.stderr().includes(`"work ended","task_id":"${asked.task_id}"`));
    expect(heard.results(asked)).toEqual([]);
    proxy.behave("pass");

    expect((await heard.result(asked)).status).toBe("completed");
    await heard.result(large);
    await until("all output is there", () => heard.output(large).length === 1_000_000);
    expect(heard.output(large).equals(anyBytes("s", 1_000_000))).toBe(true);
    await until("the small output is there", () => heard.output(asked).toString() === "away waits\naway goes on\n");
    expect(done("away")).toBe(1);
    await agent.crash();
    await proxy.close();
  });

  test("what a killed agent had kept but not sent is sent first when it starts again", async () => {
    const proxy = await startProxy(queues.address());
    const agent = await start("kept", {}, proxy.url);
    const parameters = { name: "kept", file: join(folder, "kept") };
    const asked = await ask("research", "probe.until", parameters);
    await until("it is running", () => done("kept") === 1);
    proxy.behave("hang up");
    proxy.cut("rst");
    writeFileSync(parameters.file, "");
    await until("the work has ended", () => agent.stderr().includes(`"work ended","task_id":"${asked.task_id}"`));
    await agent.crash();
    await proxy.close();

    const second = await start("kept");
    const result = await heard.result(asked, 1);
    await second.crash();

    expect(result.status).toBe("completed");
    expect(done("kept")).toBe(1);
  });

  test("a second agent on the same journal does not start, and says what to do", async () => {
    const agent = await start("shared");

    const second = await start("shared");

    expect((await second.exit).code).toBe(1);
    expect(second.stderr()).toMatch(/Another agent has it open.*WAYBILL_AGENT_DATA=DIR/);
    await agent.crash();
  });
});

test.for([
  [
    { RESULTS_QUEUE_URL: "nowhere", AGENT_CONCURRENCY: "0" },
    ["AGENT_QUEUE_URL is missing", "RESULTS_QUEUE_URL must", "AGENT_CONCURRENCY must"],
  ],
  [{ AGENT_TRANSPORT: "amqp", AGENT_CONCURRENCY: "0" }, ["RABBITMQ_URL is missing", "AGENT_CONCURRENCY must"]],
  [{ AGENT_TRANSPORT: "amqp", RABBITMQ_URL: "http://127.0.0.1:5672" }, ["RABBITMQ_URL must be the broker's URL"]],
  [{ AGENT_TRANSPORT: "mqtt" }, ['AGENT_TRANSPORT must be one of "sqs", "amqp"']],
] as const)("an agent whose environment is %j does not start, and names the variables", async ([env, faults]) => {
  const none = { AGENT_QUEUE_URL: "", RABBITMQ_URL: "" };
  const agent = await spawnProgram([process.execPath, PROBE], { ...none, ...env });

  expect((await agent.exit).code).toBe(1);
  for (const fault of faults) expect(agent.stderr()).toContain(fault);
});
