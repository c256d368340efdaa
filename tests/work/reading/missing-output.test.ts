import { afterAll, expect, test } from "vitest";
import { handler as getOutput } from "../../../functions/work/get-output.ts";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { missingOutput } from "../../../lib/work/reading/missing-output.ts";
import { worldOf } from "../../support/database/world.ts";
import { call, reply } from "../../support/http/events.ts";

const db = connect();
afterAll(async () => await db.end());

const piece = (step: number, chunk: number, size = 10) => ({ step, chunk, size });

test.each([
  ["all of it", [piece(1, 0), piece(1, 1), piece(2, 0)], 30, "nothing"],
  ["nothing", [], undefined, "nothing"],
  ["nothing of what was told", [], 49, "49 bytes"],
  ["a first piece", [piece(1, 1)], undefined, "step 1 pieces 0-0"],
  ["some in the middle", [piece(1, 0), piece(1, 3), piece(2, 0)], 49, "19 bytes; step 1 pieces 1-2"],
  ["the end", [piece(1, 0)], 49, "39 bytes"],
  ["what a result carries itself", [piece(1, 2_000_000_000)], undefined, "nothing"],
  ["more than was told", [piece(1, 0)], 5, "nothing"],
])("what is missing: %s", (_what, pieces, told, missing) => {
  expect(missingOutput(pieces, told)).toBe(missing);
});

test("no more gaps are named than a header holds", () => {
  const pieces = Array.from({ length: 1_000 }, (_, n) => piece(1, 2 * n + 1));
  expect(missingOutput(pieces, undefined)).toMatch(/^(step 1 pieces \d+-\d+; ){10}and more$/);
});

test("completed work whose output is not all there says so, until it is", async () => {
  const world = worldOf(db);
  const taskId = await world.submit();
  await world.dispatch();
  const request = world.requests()[0] as WorkRequestMessage;
  const said = (chunk_number: number, text: string) =>
    reply(request, "work_status", {
      status: "executing",
      step: { step_number: 1, action: "say", status: "running", output: { chunk_number, text } },
    });
  const read = async (more = "") =>
    await call(getOutput, `/work/${taskId}/output${more}`, { params: { task_id: taskId } });
  await world.record(
    said(0, "one "),
    reply(request, "work_result", { status: "completed", metrics: { output_bytes: 13 } }),
  );

  const early = await read();
  await world.record(said(2, "three"));
  const later = await read("?step=1");
  await world.record(said(1, "two "));
  const whole = await read();

  expect([early.text, early.headers["x-output-missing"]]).toEqual(["one ", "9 bytes"]);
  expect(later.headers["x-output-missing"]).toBe("step 1 pieces 1-1");
  expect([whole.text, whole.headers["x-output-missing"]]).toEqual(["one two three", "nothing"]);
});
