import { expect, test } from "vitest";
import type { Api } from "../../bin/deploy/api.ts";
import { submit } from "../../bin/deploy/smoke.ts";
import { approveWork, submitWork } from "../../lib/work/core/routes.ts";

const TASK = "0190b0a0-0000-7000-8000-000000000001";

test("where a person approves everything the smoke test approves its own work, in the API's words", async () => {
  const sent: [string, string, unknown][] = [];
  const api: Api = async (method, path, body) => {
    sent.push([method, path, body]);
    return { status: 201, text: "", json: { task_id: TASK, status: "pending" } };
  };

  expect(await submit(api)).toBe(TASK);
  const [submission, approval] = sent;
  expect(submitWork.body.safeParse(submission?.[2]).error).toBeUndefined();
  expect(approval?.slice(0, 2)).toEqual(["POST", `/work/${TASK}/approve`]);
  expect(approveWork.body.safeParse(approval?.[2]).error).toBeUndefined();
});
