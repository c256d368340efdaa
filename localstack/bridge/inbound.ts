import type { Channel, ConsumeMessage, Options } from "amqplib";
import type { Topology } from "../../lib/agent-kit/transports/amqp-topology.ts";
import { MAX_MESSAGE_BYTES } from "../../lib/protocol/messages.ts";
import { sendAll } from "../../lib/runtime/aws/sqs.ts";
import { log } from "../../lib/runtime/log.ts";
import { acknowledge, type Lent } from "./acks.ts";
import type { Counters } from "./counters.ts";
import type { Bury } from "./poison.ts";
import { CALLS } from "./settings.ts";
import { backOff, condition, type Signals } from "./signals.ts";
import { sendMessages } from "./sqs-call.ts";
import type { SqsQueue } from "./sqs-queue.ts";
import { textOf } from "./text-for-sqs.ts";
import { openWindow, type Window } from "./window.ts";

type Parts = {
  queue: SqsQueue;
  names: Topology;
  bury: Bury;
  counters: Counters;
  signals: Signals;
  /** Asks for a new channel: this one has no consumer any more. */
  renew: () => void;
};

export type Inbound = {
  /** Consumes on a new channel; what came over an earlier one is void. */
  consume: (channel: Channel, inHand: number) => Promise<void>;
  onLost: (channel: Channel) => void;
  /** Takes nothing more and answers when nothing is in hand, or when it is over. */
  stop: () => Promise<void>;
};

/** How long a batch that is not full waits for more while another is under way: ten a call cost little more than one. */
const GATHER_MS = 5;

/**
 * Brings what agents say from the broker to SQS. A message is acked only when SQS has taken it. What came over a channel that
 * is lost is dropped here, since the broker delivers it again.
 */
export function inbound({ queue, names, bury, counters, signals, renew }: Parts): Inbound {
  const { over } = signals;
  const changes = condition();
  const waiting: Lent[] = [];
  const lost = new WeakSet<Channel>();
  let calls = 0;
  let burying = 0;
  let consuming: { channel: Channel; window: Window } | undefined;

  const settle = (done: Lent[]) => {
    counters.in_flight -= done.length;
    acknowledge(done.filter(({ channel }) => !lost.has(channel)));
    changes.changed();
  };
  const letGo = (lent: Lent[]) => {
    counters.in_flight -= lent.length;
  };
  const forward = async (batch: Lent[]): Promise<void> => {
    let left = withoutPoison(batch);
    for (let failures = 0; left.size > 0; ) {
      if (over.aborted) return letGo([...left.values()].map(({ lent }) => lent));
      const letters = [...left].map(([id, { text }]) => ({ id, queueUrl: queue.url, body: text }));
      const { sent, refused = [], error } = await sendAll(letters, sendMessages);
      const done = sent.flatMap((id) => left.get(id)?.lent ?? []);
      counters.moved += done.length;
      settle(done);
      for (const id of sent) left.delete(id);
      for (const { id, reason } of refused) {
        const one = left.get(id);
        if (one === undefined) continue;
        void buried(one.lent, reason);
        left.delete(id);
      }
      left = new Map([...left].filter(([, { lent }]) => !lost.has(lent.channel) || letGo([lent])));
      if (left.size === 0) return;
      counters.failed++;
      if (failures === 0) log.warn("messages not sent", { queue: queue.url, unsent: left.size, error });
      await backOff(failures++, over);
    }
  };
  /** Nobody waits for it: others must not, and until it is done the message stays with the broker. */
  const buried = async (lent: Lent, reason: string) => {
    burying++;
    changes.changed();
    const { content, properties } = lent.message;
    // Not all of them: with `userId` or `CC` the broker would refuse the letter, or send it elsewhere too.
    const { messageId, correlationId, type, contentType, contentEncoding } = properties as Options.Publish;
    const sourceId = messageId ?? "";
    const kept = { messageId, correlationId, type, contentType, contentEncoding } as Options.Publish;
    const poison = {
      rabbitQueue: names.resultsQueue,
      sqsQueue: queue,
      body: content,
      reason,
      sourceId,
      properties: kept,
    };
    if (await bury(poison, counters)) settle([lent]);
    else letGo([lent]);
    burying--;
    changes.changed();
  };
  const withoutPoison = (batch: Lent[]) => {
    const good = new Map<string, { lent: Lent; text: string }>();
    for (const [index, lent] of batch.entries()) {
      const { text, fault } = textOf(lent.message.content);
      if (fault === undefined) good.set(String(index), { lent, text });
      else void buried(lent, fault);
    }
    return good;
  };
  let timer: NodeJS.Timeout | undefined;
  const pump = () => {
    clearTimeout(timer);
    timer = undefined;
    while (calls < CALLS && waiting.length > 0) {
      calls++;
      void forward(nextBatch(waiting)).finally(() => {
        calls--;
        changes.changed();
        gather();
      });
    }
  };
  const gather = () => {
    if (waiting.length < 10) timer ??= setTimeout(pump, calls === 0 ? 0 : GATHER_MS);
    else pump();
  };
  return {
    consume: async (channel, inHand) => {
      const open = new Set<number>();
      const take = (message: ConsumeMessage) => {
        if (message.fields.redelivered) counters.redelivered++;
        counters.in_flight++;
        waiting.push({ channel, message, open });
        open.add(message.fields.deliveryTag);
        gather();
      };
      // Poison may take its time: it stays unacked until both sides have it.
      const drained = async () => await changes.until(() => open.size <= burying || lost.has(channel), over);
      // Where the queue was deleted: on a new channel it is declared again.
      const window = await openWindow(channel, names.resultsQueue, inHand, { take, drained, gone: renew });
      consuming = { channel, window };
    },
    onLost: (channel) => {
      lost.add(channel);
      if (consuming?.channel === channel) consuming = undefined;
      const kept = waiting.filter((lent) => lent.channel !== channel);
      counters.in_flight -= waiting.length - kept.length;
      waiting.splice(0, waiting.length, ...kept);
      changes.changed();
    },
    stop: async () => {
      let asked = consuming !== undefined;
      // Not awaited: a broker that has fallen silent never answers.
      void consuming?.window
        .close()
        .catch(() => {})
        .finally(() => {
          asked = false;
          changes.changed();
        });
      await changes.until(() => !asked && calls + burying === 0 && waiting.length === 0, over);
    },
  };
}

/** Takes as many as SQS takes in one call. */
function nextBatch(waiting: Lent[]): Lent[] {
  let bytes = 0;
  let count = 0;
  for (const { message } of waiting) {
    bytes += message.content.length;
    if (count === 10 || (count > 0 && bytes > MAX_MESSAGE_BYTES)) break;
    count++;
  }
  return waiting.splice(0, count);
}
