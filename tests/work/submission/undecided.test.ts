import { afterAll, beforeEach, expect, test } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import type { Route } from "../../../lib/work/core/router-seam.ts";
import { findTask } from "../../../lib/work/core/task-row.ts";
import { routeUndecided } from "../../../lib/work/submission/undecided.ts";
import { ACTOR } from "../../support/database/actor.ts";
import { defineAgents } from "../../support/database/registry.ts";
import { worldOf } from "../../support/database/world.ts";

const db = connect();

beforeEach(async () => {
  await db`truncate tasks cascade`;
  await db`delete from sweep_rounds`;
  await db`delete from agent_definitions`;
});
afterAll(async () => {
  await db.end();
});

/** Submits work that nobody does, each of a kind of its own. */
async function nobodyDoes(world: ReturnType<typeof worldOf>, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++)
    ids.push(await world.submit({ work_type: "nobody.paint", request_text: `paint ${n}` }));
  return ids;
}

/** The router, with what it was asked. */
function counted(world: ReturnType<typeof worldOf>): { route: Route; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    route: async (on, team, ask) => {
      asked.push(ask.request_text);
      return await world.router.route(on, team, ask);
    },
  };
}

const sweep = async (route: Route, budgetMs = 60_000) =>
  await routeUndecided(db, ACTOR, { approvalRequired: [] }, route, budgetMs);

test("work that nobody does never hides what came after it, however short the time of a sweep", async () => {
  const world = worldOf(db);
  await nobodyDoes(world, 5);
  const late = await world.submit({ work_type: "lateagent.sing" });
  await defineAgents(db, { name: "lateagent", work_types: ["lateagent.*"] });

  for (let n = 0; n < 6; n++) await world.routeUndecided(0);

  expect(await findTask(db, ACTOR, late)).toMatchObject({ status: "approved", toAgent: "lateagent" });
});

test("each sweep goes on where the one before has ended, then from the start", async () => {
  const world = worldOf(db);
  await nobodyDoes(world, 3);
  const { route, asked } = counted(world);

  for (let n = 0; n < 4; n++) await sweep(route, 0);

  expect(asked).toEqual(["paint 0", "paint 1", "paint 2", "paint 0"]);
});

test("a sweep with time asks about each once, over more than a page", async () => {
  const world = worldOf(db);
  await nobodyDoes(world, 102);
  await sweep(world.router.route, 0);
  const { route, asked } = counted(world);

  await sweep(route);

  expect(asked).toHaveLength(102);
  expect(new Set(asked).size).toBe(102);
});

test("one answer does for all that ask the same, in one sweep", async () => {
  const world = worldOf(db);
  for (let n = 0; n < 4; n++) await world.submit({ work_type: "nobody.paint", request_text: "paint" });
  await world.submit({ work_type: "nobody.paint", request_text: "paint", hints: { files: ["a"] } });
  const { route, asked } = counted(world);

  await sweep(route);
  expect(asked).toHaveLength(2);
  await defineAgents(db, { name: "nobody", work_types: ["nobody.*"] });

  expect((await sweep(route)).found).toHaveLength(5);
});

test("work that cannot be decided is told with its error, and keeps nothing from the others", async () => {
  const world = worldOf(db);
  const [first = "", second = ""] = await nobodyDoes(world, 2);
  await defineAgents(db, { name: "nobody", work_types: ["nobody.*"] });
  const { route } = world.router;
  const bad: Route = async (on, team, ask) => {
    if (ask.request_text === "paint 0") throw new TypeError("a score of nothing");
    return await route(on, team, ask);
  };

  const { found, spoilt } = await sweep(bad);

  expect(found.map(({ taskId }) => taskId)).toEqual([second]);
  expect(spoilt).toEqual([{ taskId: first, error: new TypeError("a score of nothing") }]);
});

test("work that somebody has locked is left to the next sweep", async () => {
  const world = worldOf(db);
  const [first = "", second = ""] = await nobodyDoes(world, 2);
  await defineAgents(db, { name: "nobody", work_types: ["nobody.*"] });

  const other = connect();
  const found = await other.begin(async (holding) => {
    await holding`select from tasks where task_id = ${first} for update`;
    return (await sweep(world.router.route)).found.map(({ taskId }) => taskId);
  });
  await other.end();

  expect(found).toEqual([second]);
  expect((await sweep(world.router.route)).found.map(({ taskId }) => taskId)).toEqual([first]);
});
