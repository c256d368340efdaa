import { expect, test } from "vitest";
import type { Api } from "../../bin/deploy/api.ts";
import { submitSmoke } from "../../bin/deploy/smoke.ts";
import { Approve, SubmitWork } from "../../lib/work/core/schema.ts";

/** An API whose stage answers new work with this status; it refuses what the real one would. */
function api(status: string, calls: string[]): Api {
  return async (method, path, body) => {
    calls.push(`${method} ${path}`);
    (path === "/work" ? SubmitWork : Approve).parse(body);
    const json = { status, task_id: "t" };
    return { status: 201, text: JSON.stringify(json), json };
  };
}

test.each([
  ["approved", ["POST /work"]],
  ["pending", ["POST /work", "POST /work/t/approve"]],
])("work that is %s is seen through: %j", async (status, expected) => {
  const calls: string[] = [];

  expect(await submitSmoke(api(status, calls))).toBe("t");
  expect(calls).toEqual(expected);
});
