// An agent of the harness, made with the kit as any other: it does what its parameters say, and writes down what it did before
// it tells anybody.
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { runAgent } from "../../lib/agent-kit/agent.ts";
import { defineWork, WorkFailed } from "../../lib/agent-kit/define-work.ts";
import { type Effect, stepOutput } from "../history/history.ts";
import { openJournal } from "../history/journal.ts";

const Plan = z.strictObject({
  ms: z.int(),
  steps: z.int(),
  lines: z.int(),
  fail: z.int(),
  fatal: z.boolean(),
  hang: z.boolean(),
});

const name = process.env["CHAOS_AGENT"] ?? "";
const journal = openJournal<Effect>(process.env["CHAOS_EFFECTS"] ?? "");

await runAgent({
  name,
  work: {
    "chaos.run": defineWork(Plan, async (plan, { work, signal, step }) => {
      const { task_id: taskId, attempt } = work;
      // Not of the seed: nothing follows from it but whose output is whose.
      const run = randomBytes(4).toString("hex");
      const note = (what: Effect["what"]) =>
        journal.note({ at: clock(), pid: process.pid, agent: name, taskId, attempt, run, what });
      note("started");
      try {
        for (let at = 1; at <= plan.steps; at++) {
          await step(`step ${at} of ${run}`, async ({ write }) => {
            await sleep(plan.ms / plan.steps, undefined, { signal });
            write(stepOutput(run, at, plan.lines));
          });
        }
        if (plan.hang) await new Promise<never>(() => {});
      } catch (error) {
        note("stopped");
        throw error;
      }
      if (plan.fatal || attempt <= plan.fail) {
        note("failed");
        throw new WorkFailed(`planned: attempt ${attempt}`, { retryable: !plan.fatal });
      }
      note("finished");
    }),
  },
});

/** The harness's clock, whatever this process was made to believe. */
function clock(): number {
  return Math.round(performance.timeOrigin + performance.now());
}
