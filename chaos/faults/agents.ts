import { setTimeout as sleep } from "node:timers/promises";
import type { AgentProcess } from "../world/programs.ts";
import type { World } from "../world/world.ts";
import { type Fault, repeatedly } from "./fault.ts";

const masons = ({ agents }: World): AgentProcess[] => agents.filter(({ agent }) => agent === "mason");

/** What the agent says is lost: it works on and holds no lease. */
function wordless(world: World): () => Promise<void> {
  const ways = masons(world).map(({ queues }) => queues);
  for (const way of ways) {
    way.tamper(async (call, forward) => (call.action.startsWith("SendMessage") ? "cut" : await forward()));
  }
  return async () => ways.forEach((way) => way.tamper());
}

/** Faults of the agents' processes; three of them share a queue. */
export const AGENTS: readonly Fault[] = [
  {
    id: "agents-killed",
    breaks: "processes of an agent are killed, and come back",
    holds: "the output of two runs is never mixed; what another process completed is completed",
    lasts: 9_000,
    load: { ms: [300, 2_000] },
    inject: async (world, dice) =>
      repeatedly(dice, [800, 1_800], async () => {
        const { process } = dice.one(masons(world));
        await process.kill();
        await sleep(dice.whole(0, 1_500));
        process.start();
      }),
  },
  {
    id: "agent-gone",
    breaks: "one process of an agent is killed and does not come back until the end",
    holds: "the others take its work",
    lasts: 8_000,
    load: { ms: [300, 2_000] },
    inject: async (world, dice) => {
      const { process } = dice.one(masons(world));
      await process.kill();
      return async () => process.start();
    },
  },
  {
    id: "agents-all-killed",
    breaks: "all processes of an agent are killed, and come back after their leases",
    holds: "what ran is tried again or fails with its last attempt; what waited waits",
    lasts: 14_000,
    load: { ms: [300, 2_000], perSecond: 3 },
    inject: async (world) => {
      await Promise.all(masons(world).map(async ({ process }) => await process.kill()));
      return async () => masons(world).forEach(({ process }) => process.start());
    },
  },
  {
    id: "agent-frozen",
    breaks: "a process of an agent stands still for two leases, and goes on",
    holds: "a second attempt runs; what the first says then ends nothing that has ended",
    lasts: 9_000,
    load: { ms: [500, 3_000] },
    inject: async (world, dice) => {
      const { process } = dice.one(masons(world));
      process.freeze();
      return async () => process.thaw();
    },
  },
  {
    id: "agents-away",
    breaks: "no process of an agent is there for longer than a request waits (PICKUP_SECONDS)",
    holds: "waiting costs no attempt, also with one",
    lasts: 26_000,
    load: { once: 0.8, perSecond: 2 },
    inject: async (world) => {
      for (const { process } of masons(world)) await process.stop(3_000);
      return async () => masons(world).forEach(({ process }) => process.start());
    },
  },
  {
    id: "agent-hangs",
    breaks: "work never ends and does not listen, until its timeout",
    holds: "it ends as failed, and the other agent's work is as fast as before",
    lasts: 8_000,
    inject: async (_world, _dice) => async () => {},
    load: { hanging: 0.15 },
  },
  {
    id: "agent-busy",
    breaks: "more work than an agent has places, each longer than a request waits",
    holds: "what waits its turn costs no attempt",
    lasts: 6_000,
    load: { ms: [8_000, 12_000], once: 0.8, perSecond: 5 },
    inject: async () => async () => {},
  },
  {
    id: "cancels",
    breaks: "half of the work is cancelled while it runs, with several processes on one queue",
    holds: "the process that has it hears of it and stops",
    lasts: 8_000,
    load: { cancelled: 0.5, ms: [2_000, 25_000], perSecond: 3 },
    inject: async () => async () => {},
  },
  {
    id: "cancels-between-attempts",
    breaks: "an agent is cut off past its lease, and its work is cancelled before the next attempt",
    holds: "the process that still works is told",
    lasts: 9_000,
    load: { cancelled: 0.5, decideMs: [4_500, 7_500], ms: [12_000, 40_000], perSecond: 2, once: 0 },
    inject: async (world) => wordless(world),
  },
  {
    id: "handovers",
    breaks: "half of the work is passed on to the other agent while it runs",
    holds: "the process that had it stops; its output is that of the agent that ended it",
    lasts: 8_000,
    load: { cancelled: 0, passedOn: 0.5, ms: [1_500, 20_000], perSecond: 2 },
    inject: async () => async () => {},
  },
  {
    id: "handovers-between-attempts",
    breaks: "an agent is cut off past its lease, and its work is passed on before the next attempt",
    holds: "the process that still works is told: never two agents at once",
    lasts: 9_000,
    load: { cancelled: 0, passedOn: 0.5, decideMs: [4_500, 7_500], ms: [12_000, 40_000], perSecond: 1.5, once: 0 },
    inject: async (world) => wordless(world),
  },
  {
    id: "large-output",
    breaks: "agents write megabytes, more than one message carries",
    holds: "the output is whole, to the byte",
    lasts: 5_000,
    load: { lines: [8_000, 35_000], perSecond: 1.5, ms: [100, 1_000] },
    inject: async () => async () => {},
  },
  {
    id: "agent-clock",
    breaks: "the clocks of an agent's processes are days off, and step",
    holds: "order and leases go by our time",
    lasts: 7_000,
    inject: async (world, dice) => {
      const days = 24 * 3_600_000;
      const stop = repeatedly(dice, [500, 1_500], async () => {
        dice.one(masons(world)).process.clock(dice.one([-8 * days, -3_600_000, 3_600_000, 400 * days]));
      });
      return async () => {
        await stop();
        for (const { process } of masons(world)) process.clock(0);
      };
    },
  },
];
