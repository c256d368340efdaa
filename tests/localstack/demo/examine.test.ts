import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TaskWithSteps } from "../../../lib/work/core/answers.ts";
import { examine } from "../../../localstack/demo/examine.ts";

const step = (step_number: number, status: string, output_size_bytes: number) => ({
  step_number,
  status,
  output_size_bytes,
});
const task = (...steps: object[]) =>
  ({
    task_id: "1",
    status: "completed",
    actual_resources: { steps: 2, output_bytes: 7 },
    steps,
  }) as unknown as TaskWithSteps;

/** What the API answers, one after the other; the last for ever. */
let answers: TaskWithSteps[] = [];
const server = createServer((_request, response) => {
  const answer = answers.length > 1 ? answers.shift() : answers[0];
  response.end(JSON.stringify(answer));
});
beforeAll(async () => await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => server.close());

const look = async (first: TaskWithSteps, checks?: number) => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const piece = { name: "a", work: { request_text: "a" }, expected: "completed", check: async () => "right" } as const;
  return await examine(piece, first, { url, key: "none" }, checks);
};

test("what came of work is shown once its steps have ended, and all that its agent has counted is there", async () => {
  const whole = task(step(1, "completed", 3), step(2, "completed", 4));
  answers = [task(step(1, "completed", 3)), task(step(1, "completed", 3), step(2, "completed", 0)), whole];

  expect(await look(task(step(1, "completed", 3), step(2, "running", 4)))).toEqual({ whole, found: "right" });
});

test.each([
  [task(step(1, "completed", 3), step(2, "running", 4)), "step 2 has not ended"],
  [task(step(1, "completed", 7)), "there are 1 of 2 steps"],
  [task(step(1, "completed", 3), step(2, "failed", 0)), "there are 3 of 7 bytes of output"],
])("what never comes is said, and not waited for for ever", async (whole, fault) => {
  answers = [whole];
  expect(await look(whole, 2)).toEqual({ whole, fault });
});
