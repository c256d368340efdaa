import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { watchClock } from "../../lib/agent-kit/clock.ts";
import { recordSteps } from "../../lib/agent-kit/steps.ts";
import { log } from "../../lib/runtime/log.ts";
import { ask, envelope, listen, probes, until } from "../support/agents/agent.ts";
import { SIGN } from "../support/agents/keys.ts";
import { sqsQueues } from "../support/queues/sqs.ts";

vi.setConfig({ testTimeout: 60_000 });

const { start } = probes();
const heard = listen();
const queues = sqsQueues();

afterEach(() => void vi.restoreAllMocks());

const MINUTE = 60_000;
test.each([
  ["exactly, an hour ahead", "compare", -60 * MINUTE, 3600],
  ["exactly, two minutes behind", "compare", 2 * MINUTE, 120],
  ["exactly, half a minute off", "compare", MINUTE / 2, undefined],
  ["by what was sent in an hour", "compareSent", 60 * MINUTE, 3600],
  ["by what was sent an hour ago", "compareSent", -60 * MINUTE, undefined],
] as const)("a clock is compared %s", (_case, how, theirsMs, seconds) => {
  const warned = vi.spyOn(log, "warn").mockImplementation(() => {});
  const now = Date.now();
  const clock = watchClock(() => now);

  for (let time = 0; time < 3; time++) clock[how](new Date(now + theirsMs), "the API");

  const said = warned.mock.calls.map(([event, fields]) => [event, fields?.["seconds"]]);
  expect(said).toEqual(seconds === undefined ? [] : [["clock wrong", seconds]]);
});

test("a clock that is set right says so, and is warned of again when it goes wrong again", () => {
  const warned = vi.spyOn(log, "warn").mockImplementation(() => {});
  const told = vi.spyOn(log, "info").mockImplementation(() => {});
  const clock = watchClock(() => 0);

  for (const theirs of [200_000, 100, 200_000]) clock.compare(new Date(theirs), "the API");

  expect([warned.mock.calls.length, told.mock.calls.length]).toEqual([2, 1]);
});

test("a clock that is behind by two minutes is not right because a message was on its way for half of them", () => {
  const warned = vi.spyOn(log, "warn").mockImplementation(() => {});
  const told = vi.spyOn(log, "info").mockImplementation(() => {});
  const clock = watchClock(() => 0);

  for (let time = 0; time < 2; time++) {
    clock.compare(new Date(2 * MINUTE), "the API");
    clock.compareSent(new Date(MINUTE / 2), "the orchestrator");
  }

  expect([warned.mock.calls.length, told.mock.calls.length]).toEqual([1, 0]);
});

test("an agent whose clock differs from the API's says so", async () => {
  const server = createServer((_request, response) => {
    response.setHeader("date", new Date(Date.now() - 3_600_000).toUTCString()).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ahead = await start("ahead", { WAYBILL_API_URL: url });
  await until("it says so", () => ahead.stderr().includes('"clock wrong"'));
  expect(ahead.stderr()).toMatch(/"clock wrong".*ahead of that of the API/);
  await ahead.crash();
  server.close();
});

test("an agent whose clock is behind a message's says so, and works", async () => {
  const behind = await start("behind");
  const timestamp = new Date(Date.now() + 600_000).toISOString();
  const payload = { task_id: crypto.randomUUID(), attempt: 1, status: "cancelled" };
  await queues.put(
    "research",
    JSON.stringify(SIGN({ ...envelope("research"), timestamp, type: "work_status", payload })),
  );
  await until("it says that it is behind", () => /"clock wrong".*behind that of the orch/.test(behind.stderr()));
  const asked = await ask("research", "probe.tell", { name: "clock" });
  expect((await heard.result(asked)).status).toBe("completed");
  await behind.crash();
});

/** What the log says of a block: how long, and by which work. */
async function blockIn(agent: { stderr: () => string }): Promise<{ blocked_ms: number; work: unknown[] }> {
  const lines = await until("it is said", () => {
    const found = agent.stderr().split("\n").slice(0, -1);
    return found.some((each) => each.includes('"event loop blocked"')) && found;
  });
  return JSON.parse(lines.find((each) => each.includes('"event loop blocked"')) ?? "");
}

test("work that ends right after it has blocked the event loop is named", async () => {
  const agent = await start("blocked-to-the-end");
  const parameters = { name: "spin", ms: 4000, rest: 0 };
  const asked = await ask("research", "probe.block", parameters, { lease_seconds: 3 });
  await heard.result(asked);

  const { blocked_ms, work } = await blockIn(agent);
  expect(blocked_ms).toBeGreaterThan(1000);
  expect(work).toEqual([{ task_id: asked.task_id, work_type: "probe.block" }]);
  await sleep(1500);
  expect(agent.stderr().split('"event loop blocked"')).toHaveLength(2);
  await agent.crash();
});

test("work that blocks the event loop for longer than a third of its lease is named, and the sign of life follows", async () => {
  const agent = await start("blocked");
  const asked = await ask("research", "probe.block", { name: "block", ms: 4000 }, { lease_seconds: 3 });
  await heard.result(asked);

  const { blocked_ms, work } = await blockIn(agent);
  expect(blocked_ms).toBeGreaterThan(1000);
  expect(work).toEqual([{ task_id: asked.task_id, work_type: "probe.block" }]);
  const beats = () => heard.told(asked, "executing").filter(({ payload }) => payload.step === undefined).length;
  await until("it has told that it lives, after the first time", () => beats() >= 2);
  await agent.crash();
});

test("steps that follow each other without ever waiting let timers have their turn", async () => {
  const { step } = recordSteps(() => {});
  const waits = new AbortController();
  setTimeout(() => waits.abort(), 0);

  for (let count = 0; !waits.signal.aborted && count < 900_000; count++) await step("quick", () => {});

  expect(waits.signal.aborted).toBe(true);
});
