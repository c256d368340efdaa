import { backoff } from "../../backoff.ts";

/** How messages reach an agent and leave it: over SQS, or AMQP. Everything else in the kit knows only this. */
export type Transport = {
  /** Takes up to `max` messages, waiting a few seconds for the first. Throws while the queue does not answer. */
  receive: (max: number) => Promise<Delivery[]>;
  /** Sends to the results queue. Answers the ids that the queue has taken; never throws. */
  send: (messages: Letter[]) => Promise<{ sent: string[]; error?: unknown }>;
  /** Takes no more until the next receive: what was lent and not received yet is given back. */
  rest?: () => Promise<void>;
  /** Takes no more from the queue; a receive that waits answers at once. What has been lent can still be given back. */
  stop?: () => Promise<void>;
  /** Nothing is received or sent after this. */
  close?: () => Promise<void>;
};

/** One message that the queue has lent to this process. */
export type Delivery = {
  /** The queue's own name for the message, the same each time it is delivered. */
  id: string;
  body: string;
  /** 1 the first time that anybody gets it. */
  receiveCount: number;
  /** Keeps it from others for a while longer. */
  extend: () => Promise<void>;
  /** It is dealt with: the queue forgets it. */
  accept: () => Promise<void>;
  /** Somebody else may have it, at once. */
  release: () => Promise<void>;
  /** It is for another process of the agent, if there is any: that one gets it soon. What nobody has use for is forgotten. */
  passOn: () => Promise<void>;
  /** It can never be dealt with: on its way to the dead letter queue. */
  reject: () => Promise<void>;
};

/** A message to send. The id is by which `send` tells what was taken; it is not part of the message. */
export type Letter = { id: string; body: string };

/** How long to leave a side alone that has not answered `failures` times before, in milliseconds: a quarter of a second to ten. */
export function retryMs(failures: number): number {
  return Math.round(backoff(failures, { first: 250, most: 10_000 }, 0.5, Math.random()));
}
