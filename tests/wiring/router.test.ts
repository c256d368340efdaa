import { afterAll, expect, test } from "vitest";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { controlPlane } from "../../lib/wiring/control-plane.ts";
import { noQueues, processEdges } from "../../lib/wiring/edges.ts";
import { router } from "../../lib/wiring/router.ts";
import { readPlaneSettings } from "../../lib/wiring/settings.ts";
import { TEAM } from "../support/database/actor.ts";
import { defineAgents } from "../support/database/registry.ts";

const db = connect();

afterAll(async () => {
  await db.end();
});

test("the router goes by the clock of its control plane", async () => {
  await defineAgents(db, { name: "painter", triggers: [{ phrase: "paint the fence" }] });
  let now = Date.parse("2020-01-01T00:00:00Z");
  const edges = { ...processEdges(noQueues, db), now: () => new Date(now) };
  const settings = readPlaneSettings({ ...process.env, ROUTER_CACHE_SECONDS: "60" });
  const { route } = controlPlane({ settings, edges }).part(router);
  const age = async () => (await route(db, TEAM, { request_text: "paint the fence" })).measured.cacheAgeSeconds;

  expect(await age()).toBeNull();
  now += 30_000;
  expect(await age()).toBe(30);
  now += 30_000;
  expect(await age()).toBeNull();
});
