import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";
import * as z from "zod";
import { startAgent } from "../../lib/agent-kit/agent.ts";
import { defineWork } from "../../lib/agent-kit/define-work.ts";
import { readAgentEnv } from "../../lib/agent-kit/transports/env.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { testFolder, until } from "../support/agents/agent.ts";
import { identityOf, knowAgents } from "../support/agents/keys.ts";
import { runPlane, type Told } from "../support/agents/plane.ts";
import { defineAgents } from "../support/database/registry.ts";
import { worldOf } from "../support/database/world.ts";
import { sqsQueues } from "../support/queues/sqs.ts";

vi.setConfig({ testTimeout: 120_000 });

const AGENTS = 8;
const db = connect();
afterAll(async () => {
  await db.end();
});

test("of eight on one SQS queue the one that has the work stops, though its first cancel was forgotten on the way", async () => {
  await defineAgents(db, { name: "research" });
  await knowAgents(db, ["research"]);
  const world = worldOf(db, { LEASE_SECONDS: "18" });
  const queues = sqsQueues();
  const cancels: Told[] = [];
  runPlane(world, queues, (told) => told.payload.status === "cancelled" && cancels.push(told) === 1);
  const begun: string[] = [];
  const wait = defineWork(z.strictObject({ name: z.string() }), async ({ name }, { signal }) => {
    begun.push(name);
    await sleep(3_600_000, undefined, { signal });
  });
  // Kits that share nothing but their queue, as processes do; so many of those would take long to start.
  const agents = Array.from({ length: AGENTS }, () => {
    const env = {
      ...process.env,
      ...queues.env("research"),
      ...identityOf("research"),
      WAYBILL_AGENT_DATA: testFolder(),
    };
    const settings = readAgentEnv(4, { ...env, AGENT_POLL_SECONDS: "1", AGENT_GRACE_SECONDS: "0" });
    return startAgent({ name: "research", work: { "many.wait": wait } }, settings);
  });
  onTestFinished(async () => {
    for (const agent of agents) agent.stop();
    await Promise.all(agents.map(async ({ stopped }) => await stopped));
  });
  const taskIds: string[] = [];
  for (const name of ["one", "two", "three"]) {
    taskIds.push(await world.submit({ to_agent: "research", work_type: "many.wait", parameters: { name } }));
    await until("it runs", () => begun.includes(name));
  }
  const [, cancelled = ""] = taskIds;

  await world.decide("cancel", cancelled);
  const open = async () => await db`select from task_attempts where task_id = ${cancelled} and how is null`;
  while ((await open()).length > 0) await sleep(100);

  const attempts = await db`select task_id, how from task_attempts order by task_id`;
  // Confirmed within its lease: otherwise it would be lease_expired.
  expect(attempts).toEqual(taskIds.map((taskId) => ({ taskId, how: taskId === cancelled ? "cancelled" : null })));
  expect(cancels.length).toBeGreaterThan(1);
  expect(new Set(cancels.map(({ payload }) => payload.task_id))).toEqual(new Set([cancelled]));
});
