import type { Options } from "amqplib";
import { type Publish, Refused } from "../../lib/agent-kit/transports/amqp-publisher.ts";
import type { Topology } from "../../lib/agent-kit/transports/amqp-topology.ts";
import { printable } from "../../lib/input/json.ts";
import { MAX_MESSAGE_BYTES } from "../../lib/protocol/messages.ts";
import { sendAll } from "../../lib/runtime/aws/sqs.ts";
import { log } from "../../lib/runtime/log.ts";
import type { Counters } from "./flow/counters.ts";
import { backOff, type Signals } from "./flow/signals.ts";
import type { SqsQueue } from "./sqs/queue.ts";
import { textOf } from "./sqs/text.ts";

/** A message that one side can never take, and what is known of it. */
export type Poison = {
  /** The queue of the broker that it came from or was for; its dead letters get it. */
  rabbitQueue: string;
  /** The same of SQS. */
  sqsQueue: SqsQueue;
  body: Buffer;
  reason: string;
  /** What the side that it came from calls it. */
  sourceId: string;
  properties?: Options.Publish;
};

/** Buries a message on both sides. Answers whether it did: only the end of the bridge stops it from trying. */
export type Bury = (poison: Poison, counters: Counters) => Promise<boolean>;

/** Attributes count as part of a message of SQS. */
const ROOM_FOR_ATTRIBUTES = 8192;

/**
 * Puts poison with the dead letters of the broker and, for the alarms there, with those of SQS, both with the evidence; a side
 * that cannot carry the body gets a note instead. Only then is it removed from where it came from.
 */
export function burial(publish: Publish, names: Topology, { over }: Signals): Bury {
  const toRabbit = async (poison: Poison, body: Buffer): Promise<void> => {
    const { rabbitQueue, properties } = poison;
    const letter = {
      exchange: names.deadLetters,
      routingKey: rabbitQueue,
      body,
      properties: { ...properties, headers: evidenceOf(poison) },
    };
    try {
      await publish(letter, over);
    } catch (error) {
      if (!(error instanceof Refused) || body.length < 10_000) throw error;
      await toRabbit(poison, noteOf(poison));
    }
  };
  return async (poison, counters) => {
    const { reason, rabbitQueue, sourceId, body } = poison;
    log.warn("poison", { queue: rabbitQueue, message_id: sourceId, bytes: body.length, reason });
    const left = [toRabbit, toSqs];
    for (let failures = 0; left.length > 0; ) {
      if (over.aborted) return false;
      try {
        await left[0]?.(poison, body);
        left.shift();
        failures = 0;
      } catch (error) {
        log.warn("dead letter not sent", { queue: rabbitQueue, message_id: sourceId, error });
        await backOff(failures++, over);
      }
    }
    counters.poison++;
    return true;
  };
}

async function toSqs(poison: Poison, body: Buffer): Promise<void> {
  const queueUrl = await poison.sqsQueue.deadLetterUrl();
  if (queueUrl === undefined) return;
  const note = noteOf(poison);
  const text = textOf(body, MAX_MESSAGE_BYTES - ROOM_FOR_ATTRIBUTES).text ?? note.toString();
  const { sent, refused, error } = await sendAll([{ id: "", queueUrl, body: text, attributes: evidenceOf(poison) }]);
  if (sent.length > 0) return;
  if (refused === undefined || body.equals(note)) throw error;
  await toSqs(poison, note);
}

function evidenceOf({ rabbitQueue, body, reason, sourceId }: Poison): Record<string, string> {
  return {
    reason: printable(reason, 1000),
    source: rabbitQueue,
    source_message_id: printable(sourceId, 200) || "none",
    bytes: String(body.length),
  };
}

/** Stands for a body that a side cannot carry. */
function noteOf({ rabbitQueue, body, reason, sourceId }: Poison): Buffer {
  const note = "this message cannot be carried here; its whole body is with the dead letters of the other side";
  return Buffer.from(
    JSON.stringify({ note, source: rabbitQueue, source_message_id: sourceId, bytes: body.length, reason }),
  );
}
