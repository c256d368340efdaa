import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test, vi } from "vitest";
import { parseMessage } from "../../lib/protocol/messages.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { effectsIn, spawnAgent, testFolder, until } from "../support/agents/agent.ts";
import { defineAgents } from "../support/database/registry.ts";
import { worldOf } from "../support/database/world.ts";
import { sqsQueues } from "../support/queues/sqs.ts";

vi.setConfig({ testTimeout: 60_000 });

const db = connect();
afterAll(async () => {
  await db.end();
});

// At least 12 s: a lease of 3 s and two questions of 5 s, less the second in which the last sign of life may have left before.
test("work that blocks its process for less than its lease and two questions is completed in its first attempt", async () => {
  const folder = testFolder();
  const { file: EFFECTS, done } = effectsIn(folder);
  await defineAgents(db, { name: "research" });
  const world = worldOf(db, { LEASE_SECONDS: "3" });
  const queues = sqsQueues();
  const stopped = new AbortController();
  const tellWorld = async (body: string) => {
    const parsed = parseMessage(body);
    if (parsed.ok) await world.record(parsed.message);
  };
  const recorded: Promise<void>[] = [];
  const hearing = queues.hear((body) => void recorded.push(tellWorld(body)), stopped.signal);
  const agent = await spawnAgent("tests/agent-kit/fixtures/probe.ts", "research", {
    EFFECTS,
    WAYBILL_AGENT_DATA: join(folder, "journal"),
  });

  const parameters = { name: "blocks", ms: 6000 };
  const taskId = await world.submit({ to_agent: "research", work_type: "probe.block", parameters });
  const asked = new Set<string>();
  await until("the work is completed", async () => {
    await world.dispatch();
    await world.expire();
    for (const { body } of world.sent.splice(0)) {
      const { type, payload } = JSON.parse(body) as { type: string; payload: { status?: string } };
      asked.add(payload.status ?? type);
      await queues.put("research", body);
    }
    await sleep(200);
    const [task] = await db`select status from tasks where task_id = ${taskId}`;
    return task?.["status"] === "completed";
  });

  expect(await db`select attempt, how from task_attempts`).toEqual([{ attempt: 1, how: "completed" }]);
  expect(asked).toEqual(new Set(["work_request", "executing"]));
  expect(done("blocks")).toBe(1);
  await agent.crash();
  stopped.abort();
  await Promise.all([hearing, ...recorded]);
});
