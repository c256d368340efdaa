import type { Dice } from "../load/dice.ts";
import { bodiesOf } from "../ways/sent.ts";
import type { SandboxName } from "../world/cloud.ts";
import type { World } from "../world/world.ts";
import { type Fault, repeatedly } from "./fault.ts";

/** Kills a function's process around what it sends: before SQS gets it, or before the function hears that it has. */
function killAtSend(world: World, dice: Dice, name: SandboxName, when: "before" | "after"): () => Promise<void> {
  const { process, queues } = world.sandboxes[name];
  queues.tamper(async (call, forward) => {
    if (bodiesOf(call).length === 0 || !dice.chance(0.3)) return await forward();
    if (when === "after") await forward();
    await process.kill();
    return "cut";
  });
  return async () => queues.tamper();
}

/** Faults of the functions' processes. */
export const FUNCTIONS: readonly Fault[] = [
  {
    id: "recorder-killed-after-commit",
    breaks: "record-result is killed when it has committed, before the queue hears of it",
    holds: "the redelivery changes nothing: one output, one end",
    lasts: 7_000,
    inject: async ({ sandboxes }, dice) => {
      const recorder = sandboxes["record-result"];
      recorder.around = {
        after: async () => {
          if (!dice.chance(0.4)) return;
          await recorder.process.kill();
          throw new Error("killed after its commit");
        },
      };
      return async () => {
        recorder.around = {};
      };
    },
  },
  {
    id: "recorder-killed-before-commit",
    breaks: "record-result is killed while it records",
    holds: "the redelivery is recorded",
    lasts: 7_000,
    inject: async ({ sandboxes }, dice) => {
      const recorder = sandboxes["record-result"];
      recorder.around = {
        before: () => {
          if (dice.chance(0.4)) setTimeout(() => void recorder.process.kill(), dice.whole(0, 25));
        },
      };
      return async () => {
        recorder.around = {};
      };
    },
  },
  {
    id: "submit-killed-before-send",
    breaks: "the HTTP API is killed after a commit, before its message is sent",
    holds: "the sweep sends it; the caller's retry answers the same id",
    lasts: 7_000,
    inject: async (world, dice) => killAtSend(world, dice, "api", "before"),
  },
  {
    id: "dispatcher-killed-before-send",
    breaks: "the dispatcher is killed after its commit, before the requests are sent",
    holds: "the sweep sends them from the outbox",
    lasts: 7_000,
    inject: async (world, dice) => killAtSend(world, dice, "dispatch", "before"),
  },
  {
    id: "dispatcher-killed-after-send",
    breaks: "the dispatcher is killed between the send and the delete from the outbox",
    holds: "the second sending is absorbed",
    lasts: 7_000,
    inject: async (world, dice) => killAtSend(world, dice, "dispatch", "after"),
  },
  {
    id: "functions-killed",
    breaks: "any function is killed at any moment",
    holds: "what was accepted is done",
    lasts: 8_000,
    inject: async ({ sandboxes }, dice) =>
      repeatedly(dice, [300, 1_200], async () => await dice.one(Object.values(sandboxes)).process.kill()),
  },
  {
    id: "functions-frozen",
    breaks: "functions stand still for longer than their connections live, as between two calls on Lambda",
    holds: "stale connections are replaced on first use",
    lasts: 9_000,
    inject: async ({ sandboxes, database }) => {
      const processes = Object.values(sandboxes).map((sandbox) => sandbox.process);
      for (const process of processes) process.freeze();
      await database.sql`
        select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'waybill'
      `.catch(() => {});
      return async () => processes.forEach((process) => process.thaw());
    },
  },
  {
    id: "clock-skew",
    breaks:
      "the clocks of the sweep and of the dispatcher are an hour ahead, that of the recorder an hour behind, and step",
    holds: "leases and waits go by the database's clock: nothing ends early, no attempt is paid",
    lasts: 7_000,
    inject: async ({ sandboxes }, dice) => {
      const hour = 3_600_000;
      const set = () => {
        sandboxes.sweep.process.clock(hour);
        sandboxes.dispatch.process.clock(hour + dice.whole(-1_000, 1_000));
        sandboxes["record-result"].process.clock(-hour);
        sandboxes.api.process.clock(dice.one([-hour, hour, 0]));
      };
      set();
      const stop = repeatedly(dice, [1_000, 2_000], async () => set());
      return async () => {
        await stop();
        for (const { process } of Object.values(sandboxes)) process.clock(0);
      };
    },
  },
  {
    id: "two-versions",
    breaks: "the dispatcher and the sweep run the code of an earlier release",
    holds: "both versions read what the other writes",
    lasts: 6_000,
    missing: ({ old }) =>
      old === undefined ? "needs --old DIR, a checkout of an earlier release with its packages" : undefined,
    inject: async () => async () => {},
  },
];
