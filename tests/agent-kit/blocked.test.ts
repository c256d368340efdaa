import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { effectsIn, spawnAgent, testFolder, until } from "../support/agents/agent.ts";
import { knowAgents } from "../support/agents/keys.ts";
import { runPlane } from "../support/agents/plane.ts";
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
  await knowAgents(db, ["research"]);
  const world = worldOf(db, { LEASE_SECONDS: "3" });
  const agent = await spawnAgent("tests/agent-kit/fixtures/probe.ts", "research", {
    EFFECTS,
    WAYBILL_AGENT_DATA: join(folder, "journal"),
  });

  const parameters = { name: "blocks", ms: 6000 };
  const taskId = await world.submit({ to_agent: "research", work_type: "probe.block", parameters });
  const told = runPlane(world, sqsQueues());
  await until("the work is completed", async () => {
    const [task] = await db`select status from tasks where task_id = ${taskId}`;
    return task?.["status"] === "completed";
  });

  expect(await db`select attempt, how from task_attempts`).toEqual([{ attempt: 1, how: "completed" }]);
  const kinds = told.map(({ type, payload }) => payload.status ?? type);
  expect(new Set(kinds)).toEqual(new Set(["work_request", "executing"]));
  expect(done("blocks")).toBe(1);
  await agent.crash();
});
