import { setTimeout as sleep } from "node:timers/promises";
import { DeleteQueueCommand, PurgeQueueCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import type { Dice } from "../load/dice.ts";
import { bodiesOf, outlineOf } from "../ways/sent.ts";
import type { World } from "../world/world.ts";
import { type Fault, repeatedly } from "./fault.ts";
import { POISON } from "./poison.ts";
import { tamperQueues } from "./tamper.ts";

/** Sends that fit are taken, and go to a queue that nobody reads: as good as lost. */
function losing(world: World, dice: Dice, share: number, fits: (body: string, queue: string) => boolean) {
  const lost = world.environment["LOST_QUEUE_URL"];
  return tamperQueues(world, async (call, forward) => {
    const bodies = bodiesOf(call);
    const meant = bodies.length > 0 && bodies.every((body) => fits(body, call.queue));
    return await forward(meant && dice.chance(share) ? { ...call.input, QueueUrl: lost } : undefined);
  });
}

/** Faults of SQS and of what it carries. */
export const QUEUES: readonly Fault[] = [
  {
    id: "requests-lost",
    breaks: "a queue loses requests to agents",
    holds: "a lost request costs time and no attempt: work with one attempt is done",
    lasts: 6_000,
    load: { once: 0.7 },
    inject: async (world, dice) => losing(world, dice, 0.5, (_body, queue) => queue.startsWith("waybill-agent-")),
  },
  {
    id: "results-lost",
    breaks: "a queue loses results of agents",
    holds: "the agent is asked again and answers with what it kept; work with one attempt is done",
    lasts: 6_000,
    load: { once: 0.7 },
    inject: async (world, dice) => losing(world, dice, 0.4, (body) => outlineOf(body).type === "work_result"),
  },
  {
    id: "duplicates",
    breaks: "each message is delivered three times, at the same moment",
    holds: "exactly one wins: one output, one end",
    lasts: 6_000,
    inject: async (world) =>
      tamperQueues(world, async (call, forward) => {
        if (bodiesOf(call).length === 0) return await forward();
        const [answer] = await Promise.all([forward(), forward(), forward()]);
        return answer;
      }),
  },
  {
    id: "reordered",
    breaks: "messages overtake each other by seconds: results before steps, old attempts after new ones",
    holds: "late words change nothing; output and steps are whole in the end",
    lasts: 8_000,
    inject: async (world, dice) =>
      tamperQueues(world, async ({ action, input }, forward) => {
        if (action === "SendMessage") return await forward({ ...input, DelaySeconds: delay(dice) });
        if (action !== "SendMessageBatch") return await forward();
        const Entries = (input["Entries"] as object[]).map((entry) => ({ ...entry, DelaySeconds: delay(dice) }));
        return await forward({ ...input, Entries });
      }),
  },
  {
    id: "results-late",
    breaks: "nobody reads the results queue for longer than a lease",
    holds: "what was completed in time stays completed, also with one attempt",
    lasts: 10_000,
    load: { once: 0.8, perSecond: 4 },
    inject: async ({ cloud }) => {
      cloud.pause("record-result", true);
      return async () => cloud.pause("record-result", false);
    },
  },
  {
    id: "sqs-restarts",
    breaks: "SQS ends and comes back with what it had",
    holds: "what could not be sent stays in the outbox and in the agents' journals, and is sent",
    lasts: 10_000,
    inject: async ({ queues }, dice) =>
      repeatedly(dice, [2_000, 3_500], async () => {
        await queues.process.kill();
        await sleep(dice.whole(200, 2_000));
        await queues.start();
      }),
  },
  {
    id: "queues-wiped",
    breaks: "SQS ends and comes back empty: every message is gone",
    holds: "everything is asked for and told again; no attempt is paid",
    lasts: 3_000,
    load: { once: 0.7 },
    inject: async (world) => {
      await world.queues.process.kill();
      return async () => {
        await world.queues.start(true);
        await world.queues.makeQueues();
      };
    },
  },
  {
    id: "queue-purged",
    breaks: "somebody purges an agent's queue",
    holds: "what was in it is requested again, and costs no attempt",
    lasts: 3_000,
    load: { once: 0.7, perSecond: 10 },
    inject: async ({ queues: { sqs }, environment }, dice) =>
      repeatedly(dice, [300, 900], async () => {
        await sqs.send(new PurgeQueueCommand({ QueueUrl: queueOf(environment, "mason") })).catch(() => {});
      }),
  },
  {
    id: "queue-deleted",
    breaks: "an agent's queue is gone for a while",
    holds: "the other agent's work goes on; what could not be delivered is delivered when it is back",
    lasts: 8_000,
    inject: async (world) => {
      const QueueUrl = queueOf(world.environment, "mason");
      await world.queues.sqs.send(new DeleteQueueCommand({ QueueUrl }));
      return async () => void (await world.queues.makeQueues());
    },
  },
  {
    id: "poison",
    breaks: "broken JSON, NUL, lone surrogates, another version, deep and huge messages, on each queue",
    holds: "each is in a dead letter queue, and nothing else is held up",
    lasts: 6_000,
    inject: async ({ queues: { sqs }, environment, noted }, dice) =>
      repeatedly(dice, [150, 500], async () => {
        const mark = `POISON-${dice.uuid()}`;
        const [name, QueueUrl] = dice.one([
          ["results", environment["RESULTS_QUEUE_URL"]],
          ["work", environment["WORK_QUEUE_URL"]],
          ["agent-mason", queueOf(environment, "mason")],
        ] as const);
        const MessageBody = dice.one(POISON)(mark);
        await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));
        noted.poison.push({ mark, queue: name });
      }),
  },
];

/** Half of the messages overtake the others by so many seconds. */
function delay(dice: Dice): number {
  return dice.chance(0.5) ? dice.whole(1, 3) : 0;
}

function queueOf(environment: Record<string, string>, agent: string): string {
  const urls = JSON.parse(environment["AGENT_QUEUES"] ?? "{}") as Record<string, string>;
  return urls[agent] ?? "";
}
