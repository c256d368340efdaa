import type { Message } from "@aws-sdk/client-sqs";
import type { Options } from "amqplib";
import { propertiesOf } from "../../lib/agent-kit/transports/amqp-properties.ts";
import { type Publish, Refused } from "../../lib/agent-kit/transports/amqp-publisher.ts";
import type { Topology } from "../../lib/agent-kit/transports/amqp-topology.ts";
import { log } from "../../lib/runtime/log.ts";
import type { Counters } from "./flow/counters.ts";
import { CALLS } from "./flow/limits.ts";
import { backOff, type Signals } from "./flow/signals.ts";
import type { Bury } from "./poison.ts";
import { InHand } from "./sqs/in-hand.ts";
import type { SqsQueue } from "./sqs/queue.ts";

/** How often a queue is tagged as one whose messages go on to the broker. */
const TELL_EVERY_MS = 60_000;

type Parts = {
  agent: string;
  queue: SqsQueue;
  /** Answers when the broker takes messages, or when the signal is aborted. */
  ready: (signal: AbortSignal) => Promise<void>;
  publish: Publish;
  names: Topology;
  bury: Bury;
  counters: Counters;
  signals: Signals;
  visibilitySeconds: number;
  pollSeconds: number;
  /** Whether it may be removed while the bridge runs: then its end is no fault. */
  found: boolean;
  /** The most messages of this queue in hand at once. */
  inHand: number;
};

/**
 * Brings one agent's messages from SQS to the broker, until the signal or its queue's end. A message is removed from SQS only when the broker has
 * confirmed it, and is kept invisible until then. Answers when nothing is in hand any more. A poll is never broken off: it may
 * have been lent messages already.
 */
export async function startOutbound(parts: Parts): Promise<void> {
  const { agent, queue, ready, counters, signals } = parts;
  const { stopping } = signals;
  const hand = new InHand(queue, parts.visibilitySeconds, counters, signals);
  const pass = (message: Message) =>
    void deliver(parts, message).then((gone) => (gone ? hand.remove(message) : hand.giveBack(message)));
  const take = async (waitSeconds: number) => {
    await ready(stopping);
    return await hand.take(parts.inHand, async (count) => await queue.receive(waitSeconds, count), pass);
  };
  const takeAll = async () => {
    while (await take(0));
  };
  let toldAt = Number.NEGATIVE_INFINITY;
  // Again and again: a queue that was made anew has no tag.
  const tell = async () => {
    if (performance.now() - toldAt < TELL_EVERY_MS) return;
    await queue.tellCarried().catch((error: unknown) => log.warn("queue not tagged", { agent, error }));
    toldAt = performance.now();
  };
  for (let failures = 0; !stopping.aborted; ) {
    try {
      await tell();
      if (await take(parts.pollSeconds)) {
        // Several ask at once for what else is there. All of them end before the next poll, whichever failed.
        const ends = await Promise.allSettled(Array.from({ length: CALLS }, takeAll));
        for (const end of ends) if (end.status === "rejected") throw end.reason;
      }
      failures = 0;
    } catch (error) {
      if (parts.found && (error as Error).name.includes("QueueDoesNotExist")) break;
      counters.failed++;
      toldAt = Number.NEGATIVE_INFINITY;
      if (failures === 0) log.warn("queue not read", { agent, error });
      await backOff(failures++, stopping);
    }
  }
  await hand.empty();
  await hand.end();
}

/** Answers whether the message is safe elsewhere: with the broker, or with the dead letters. */
async function deliver(parts: Parts, message: Message): Promise<boolean> {
  const { agent, queue, publish, names, bury, counters, signals } = parts;
  const { Body = "", MessageId = "" } = message;
  if (Number(message.Attributes?.["ApproximateReceiveCount"]) > 1) counters.redelivered++;
  const body = Buffer.from(Body);
  const poison = { rabbitQueue: names.agentQueue(agent), sqsQueue: queue, body, sourceId: MessageId };
  let properties: Options.Publish;
  try {
    properties = propertiesOf(Body);
  } catch {
    return await bury({ ...poison, reason: "is not JSON" }, counters);
  }
  const letter = { exchange: names.work, routingKey: agent, body, properties };
  for (let failures = 0; !signals.over.aborted; ) {
    try {
      await publish(letter, signals.over);
      counters.moved++;
      return true;
    } catch (error) {
      counters.failed++;
      const reason = (error as Error).message;
      if (error instanceof Refused) return await bury({ ...poison, properties, reason }, counters);
      log.debug("message not published", { agent, message_id: MessageId, error });
      await backOff(failures++, signals.over);
    }
  }
  return false;
}
