import { afterAll, beforeAll, expect, test } from "vitest";
import { withPlans } from "../../bench/registry/plans.ts";
import { type ReportName, reports } from "../../lib/reports/all.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { buildTask } from "../support/database/build.ts";
import { newTeam } from "../support/database/teams.ts";

// What a small team asks costs what is its own, however much a large one has.

const db = connect();
let explained: Awaited<ReturnType<typeof withPlans>>;
let small: Awaited<ReturnType<typeof newTeam>>;

beforeAll(async () => {
  small = await newTeam(db, "small");
  for (const [team, steps] of [
    [(await newTeam(db, "large")).team, 60_000],
    [small.team, 20],
  ] as const) {
    const task = await buildTask(db);
    await db`update tasks set team_id = ${team} where task_id = ${task}`;
    await db`
      insert into execution_logs (log_id, task_id, team_id, attempt, step_number, agent_type, action, status, timestamp, duration_ms, recorded_at)
      select gen_random_uuid(), ${task}, ${team}, 1, step, 'code', 'act', 'failed', now(), 5, now() - step * interval '1 second'
      from generate_series(1, ${steps}::int) as step
    `;
  }
  await db`vacuum analyze execution_logs, tasks`;
  explained = await withPlans(process.env["DATABASE_URL"] ?? "");
}, 60_000);
afterAll(async () => {
  await explained.db.end();
  await db.end();
});

test.each<ReportName>(["agent-metrics", "failed-steps"])("%s of a small team reads its steps alone", async (name) => {
  explained.plans.length = 0;

  await reports[name].run(explained.db, small, {});

  expect(explained.plans.join("\n")).toMatch(/execution_logs_team_\w+_idx/);
  expect(explained.plans.join("\n")).not.toMatch(/Seq Scan on execution_logs|execution_logs_recorded_at_idx/);
});
