import { setTimeout as sleep } from "node:timers/promises";
import { missingBroker } from "../world/broker.ts";
import type { World } from "../world/world.ts";
import { type Fault, repeatedly } from "./fault.ts";

/** A broker with less free space than this takes nothing. */
const NO_SPACE = "disk_free_limit.absolute = 100000GB";

const brokerOf = ({ broker }: World) => {
  if (broker === undefined) throw new Error("This world has no broker.");
  return broker;
};

const overRabbit = { broker: true, mixes: false, missing: missingBroker } as const;

/** Faults of RabbitMQ, of the bridge, and of agents that speak AMQP. */
export const RABBITMQ: readonly Fault[] = [
  {
    ...overRabbit,
    id: "rabbitmq-agents-killed",
    breaks: "processes of an agent on one queue of RabbitMQ are killed, and come back",
    holds: "one output of one run; what was completed stays completed",
    lasts: 9_000,
    load: { ms: [300, 2_000] },
    inject: async ({ agents }, dice) =>
      repeatedly(dice, [900, 2_000], async () => {
        const { process } = dice.one(agents.filter(({ agent }) => agent === "mason"));
        await process.kill();
        await sleep(dice.whole(0, 1_500));
        process.start();
      }),
  },
  {
    ...overRabbit,
    id: "rabbitmq-cancels",
    breaks: "half of the work is cancelled while it runs, with several processes on one queue of RabbitMQ",
    holds: "the process that has it hears of it and stops",
    lasts: 8_000,
    load: { cancelled: 0.5, ms: [2_000, 25_000], perSecond: 3 },
    inject: async () => async () => {},
  },
  {
    ...overRabbit,
    id: "rabbitmq-restarts",
    breaks: "RabbitMQ is killed under load, and comes back",
    holds: "all reconnect; what was not confirmed is sent again",
    lasts: 4_000,
    inject: async (world) => {
      await brokerOf(world).kill();
      return async () => await brokerOf(world).start();
    },
  },
  {
    ...overRabbit,
    id: "rabbitmq-no-space",
    breaks: "RabbitMQ blocks every publisher: its disk is full",
    holds: "agents and bridge keep what they cannot say, and say it afterwards",
    lasts: 9_000,
    inject: async (world) => {
      const broker = brokerOf(world);
      await broker.kill();
      await broker.start(NO_SPACE);
      return async () => {
        await broker.kill();
        await broker.start("");
      };
    },
  },
  {
    ...overRabbit,
    id: "bridge-killed",
    breaks: "the bridge between SQS and RabbitMQ is killed, and comes back",
    holds: "no message is lost on its way; twice does no harm",
    lasts: 8_000,
    inject: async ({ bridge }, dice) =>
      repeatedly(dice, [1_000, 2_500], async () => {
        await bridge?.kill();
        await sleep(dice.whole(0, 1_500));
        bridge?.start();
      }),
  },
];
