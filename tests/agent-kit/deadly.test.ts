import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test, vi } from "vitest";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { effectsIn, spawnAgent, testFolder } from "../support/agents/agent.ts";
import { knowAgents } from "../support/agents/keys.ts";
import { runPlane } from "../support/agents/plane.ts";
import { defineAgents } from "../support/database/registry.ts";
import { worldOf } from "../support/database/world.ts";
import { sqsQueues } from "../support/queues/sqs.ts";

vi.setConfig({ testTimeout: 120_000 });

const db = connect();
afterAll(async () => {
  await db.end();
});

// The agent is started again whenever it has died, as a service manager does.
test.for([
  ["its journal kept", 2, () => "journal", 2],
  ["a new journal each time", 1, (start: number) => `journal ${start}`, 5],
] as const)(
  "work that kills its process, with %s and max_attempts %d, fails in the end",
  async ([, max_attempts, journal, most]) => {
    const folder = testFolder();
    const { file: EFFECTS, done } = effectsIn(folder);
    await defineAgents(db, { name: "research" });
    await knowAgents(db, ["research"]);
    const world = worldOf(db, { LEASE_SECONDS: "3" });
    const work = { to_agent: "research", work_type: "probe.die", parameters: { name: `dies ${most}` }, max_attempts };
    const taskId = await world.submit(work);
    runPlane(world, sqsQueues());

    const isOver = async () => {
      const [task] = await db`select status from tasks where task_id = ${taskId}`;
      return task?.["status"] === "failed";
    };
    for (let start = 0; !(await isOver()); start++) {
      const data = join(folder, journal(start));
      const env = { EFFECTS, WAYBILL_AGENT_DATA: data };
      const agent = await spawnAgent("tests/agent-kit/fixtures/probe.ts", "research", env);
      while (agent.child.exitCode === null && agent.child.signalCode === null && !(await isOver())) await sleep(50);
      await agent.crash();
    }

    const [task] = await db`select attempts_used, error_message from tasks where task_id = ${taskId}`;
    expect(task?.["attemptsUsed"]).toBe(max_attempts);
    expect(done(`dies ${most}`)).toBeGreaterThanOrEqual(max_attempts);
    expect(done(`dies ${most}`)).toBeLessThanOrEqual(most);
    const attempts = await db`select taken_at from task_attempts where counted`;
    expect(attempts.map(({ takenAt }) => takenAt)).not.toContain(null);
  },
);
