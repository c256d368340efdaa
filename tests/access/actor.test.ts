import { expect, test } from "vitest";
import { DEFAULT_TEAM, system, teamOf, tellActor } from "../../lib/access/actor.ts";
import { ownerNamed } from "../support/http/owner.ts";

test("a log line names each actor in one word", () => {
  expect([ownerNamed("ada"), system("sweep")].map(tellActor)).toEqual(["ada", "system:sweep"]);
});

test("who acts for all teams makes nothing without saying for which", () => {
  expect(teamOf(system("command", DEFAULT_TEAM))).toBe(DEFAULT_TEAM);
  expect(() => teamOf(system("sweep"))).toThrow("system sweep acts for all teams");
});
