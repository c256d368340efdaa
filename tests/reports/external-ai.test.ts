import { afterAll, beforeEach, expect, test } from "vitest";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { buildTask } from "../support/database/build.ts";
import { ask, daysAgo, minutesAgo } from "./ask.ts";

const db = connect();
beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

test("tasks that used external AI are told newest first, summed by model, the dearest model first", async () => {
  const older = await buildTask(db, {
    completed_at: minutesAgo(20),
    external_ai_used: [{ model: "local", tokens: 7 }],
  });
  const newer = await buildTask(db, {
    completed_at: minutesAgo(10),
    external_ai_used: [
      { model: "small", tokens: 10, cost: 0.1 },
      { model: "large", tokens: 100, cost: 1.5, vendor: "x" },
      { model: "small", tokens: 20, cost: 0.2 },
      { model: "small", tokens: null, cost: null },
    ],
  });
  await buildTask(db);
  await buildTask(db, { external_ai_used: [] });
  await buildTask(db, { completed_at: daysAgo(8), external_ai_used: [{ model: "large", cost: 9 }] });

  const rows = await ask(db, "external-ai-use");

  expect(rows).toMatchObject([
    {
      task_id: newer,
      uses: 4,
      tokens: 130,
      cost: 1.8,
      unknown_token_uses: 1,
      unknown_cost_uses: 1,
      models: [
        { model: "large", uses: 1, tokens: 100, cost: 1.5 },
        { model: "small", uses: 3, tokens: 30, cost: 0.3 },
      ],
    },
    {
      task_id: older,
      uses: 1,
      tokens: 7,
      cost: null,
      unknown_token_uses: 0,
      unknown_cost_uses: 1,
      models: [{ model: "local", uses: 1, tokens: 7, cost: null }],
    },
  ]);
});

test("cost is summed by model exactly; a model whose cost nobody knows costs null, one that is free costs 0", async () => {
  const now = new Date("2026-03-10T00:00:00Z");
  const at = (completed_at: string, external_ai_used: any) =>
    buildTask(db, { completed_at: new Date(completed_at), external_ai_used });
  await at("2026-03-09T10:00:00Z", [
    { model: "large", tokens: 1, cost: 0.1 },
    { model: "large", tokens: 2, cost: 0.2 },
  ]);
  await at("2026-03-09T11:00:00Z", [
    { model: "large", tokens: 3 },
    { model: "free", tokens: 5, cost: 0 },
  ]);
  await at("2026-03-08T10:00:00Z", [{ model: "mystery" }]);
  await at("2026-03-02T23:59:59Z", [{ model: "large", tokens: 1000, cost: 1000 }]);

  expect(await ask(db, "ai-cost-by-model", {}, now)).toEqual([
    {
      model: "large",
      tasks: 2,
      uses: 3,
      tokens: 6,
      cost: 0.3,
      unknown_token_uses: 0,
      unknown_cost_uses: 1,
      first_used_at: "2026-03-09T10:00:00.000Z",
      last_used_at: "2026-03-09T11:00:00.000Z",
    },
    expect.objectContaining({ model: "free", tokens: 5, cost: 0, unknown_cost_uses: 0 }),
    expect.objectContaining({
      model: "mystery",
      uses: 1,
      tokens: null,
      cost: null,
      unknown_token_uses: 1,
      unknown_cost_uses: 1,
    }),
  ]);
});

test("one use that is not in a list counts, and what is not a number is unknown", async () => {
  await buildTask(db, { external_ai_used: { model: "alone", tokens: "12", cost: "a lot" } });
  await buildTask(db, { external_ai_used: "nonsense" });

  expect(await ask(db, "external-ai-use")).toMatchObject([{ uses: 1, tokens: null, cost: null, unknown_cost_uses: 1 }]);
  expect(await ask(db, "ai-cost-by-model")).toMatchObject([{ model: "alone", tasks: 1, cost: null }]);
});

test("costs and tokens that no sum holds are unknown, and take nothing from the others", async () => {
  const huge = { model: "odd", cost: 1.5e308, tokens: 1e308 };
  await buildTask(db, { external_ai_used: [huge, huge] });
  await buildTask(db, { external_ai_used: [huge, { model: "odd", cost: 0.5, tokens: 3 }] });

  const odd = { model: "odd", uses: 4, cost: 0.5, tokens: 3, unknown_cost_uses: 3, unknown_token_uses: 3 };
  expect(await ask(db, "ai-cost-by-model")).toMatchObject([odd]);
  expect(new Set((await ask(db, "external-ai-use")).map(({ cost }) => cost))).toEqual(new Set([0.5, null]));
});

test("without external AI both reports are empty", async () => {
  await buildTask(db);

  expect(await ask(db, "external-ai-use")).toEqual([]);
  expect(await ask(db, "ai-cost-by-model")).toEqual([]);
});
