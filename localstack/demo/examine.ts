import { setTimeout as sleep } from "node:timers/promises";
import type { TaskWithSteps } from "../../lib/work/core/answers.ts";
import { type Api, call } from "./api.ts";
import type { Piece } from "./work.ts";

/** What is not there at first is looked for again, for ten seconds. */
const CHECKS = 50;
const PAUSE_MS = 200;

/** A piece of work as it is once all is there, and what was found right, or what was not. */
export type Examined = { whole: TaskWithSteps; found?: string; fault?: string };

/**
 * Checks what came of a piece of work that has ended. The end of its steps and their output may come after its result: no queue promises
 * an order.
 */
export async function examine(piece: Piece, task: TaskWithSteps, api: Api, checks = CHECKS): Promise<Examined> {
  for (let whole = task, tries = 1; ; tries++) {
    try {
      if (whole.status !== piece.expected) throw new Error(`it is ${whole.status}, not ${piece.expected}`);
      mustBeWhole(whole);
      return { whole, found: await piece.check(whole, api) };
    } catch (error) {
      if (tries >= checks) return { whole, fault: (error as Error).message };
    }
    await sleep(PAUSE_MS);
    whole = await call<TaskWithSteps>(api, `/work/${task.task_id}`);
  }
}

/** Throws where a step has not ended, or there is less than its agent has counted. */
function mustBeWhole({ steps, actual_resources }: TaskWithSteps): void {
  const open = steps.find(({ status }) => status === "running");
  if (open !== undefined) throw new Error(`step ${open.step_number} has not ended`);
  const bytes = steps.reduce((sum, { output_size_bytes }) => sum + output_size_bytes, 0);
  const counted = { steps: steps.length, output_bytes: bytes, ...actual_resources };
  if (counted.steps !== steps.length) throw new Error(`there are ${steps.length} of ${counted.steps} steps`);
  if (counted.output_bytes !== bytes) throw new Error(`there are ${bytes} of ${counted.output_bytes} bytes of output`);
}
