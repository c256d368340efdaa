import { setTimeout as sleep } from "node:timers/promises";
import type { Message } from "@aws-sdk/client-sqs";
import { log } from "../../lib/runtime/log.ts";
import type { Counters } from "./counters.ts";
import { MOST_BYTES } from "./settings.ts";
import { backOff, condition, type Signals } from "./signals.ts";
import type { SqsQueue } from "./sqs-queue.ts";

/** The messages of one queue that this process was lent, until each is removed or given back. */
export type InHand = {
  /** The queue may forget it. */
  remove: (message: Message) => void;
  /** Somebody else may have it. */
  giveBack: (message: Message) => void;
  /**
   * Makes a call for messages, at most ten, as soon as there is room: no more than `most` messages and 16 MiB, by the size of the
   * last ones, are in hand or asked for. Passes on what comes. Answers whether all came that were asked for; no once it is to stop.
   */
  within: (
    most: number,
    call: (count: number) => Promise<Message[]>,
    pass: (message: Message) => void,
  ) => Promise<boolean>;
  /** Answers when nothing is in hand, or when it is over. */
  empty: () => Promise<void>;
  /** Nothing is kept any more. */
  end: () => Promise<void>;
};

/** How long a removal waits for others to go with it: ten a call cost as much as one. */
const GATHER_MS = 5;

/** Keeps what is taken invisible to others for as long as it is in hand. */
export function holdWhile(
  queue: SqsQueue,
  visibilitySeconds: number,
  counters: Counters,
  { stopping, over }: Signals,
): InHand {
  const changes = condition();
  /** By whether they were there a tick ago: the others are fresh enough. */
  const held = new Map<Message, boolean>();
  const ending = new Set<Promise<void>>();
  let bytes = 0;
  /** Messages that calls under way may bring, and what each is likely to have. */
  let asking = 0;
  let each = 1;

  const letGo = (messages: Message[]) => {
    for (const message of messages) {
      if (!held.delete(message)) continue;
      bytes -= message.Body?.length ?? 0;
      counters.in_flight--;
    }
    changes.changed();
  };
  const removal = async (messages: Message[]) => {
    let left = messages;
    for (let failures = 0; left.length > 0 && !over.aborted; ) {
      try {
        left = await queue.remove(left);
      } catch (error) {
        if (failures === 0) log.warn("messages not removed", { queue: queue.url, error });
        await backOff(failures++, over);
      }
    }
    letGo(messages);
  };
  const giving = async (messages: Message[]) => {
    await queue.hold(messages, 0).catch((error: unknown) => log.warn("not given back", { queue: queue.url, error }));
    letGo(messages);
  };
  const remove = gathered(removal, ending);
  const giveBack = gathered(giving, ending);

  const tick = () => {
    const old = [...held].filter(([, wasThere]) => wasThere).map(([message]) => message);
    for (const message of held.keys()) held.set(message, true);
    for (let i = 0; i < old.length; i += 10) {
      queue.hold(old.slice(i, i + 10), visibilitySeconds).catch((error: unknown) => {
        log.warn("messages not kept", { queue: queue.url, error });
      });
    }
  };
  const ticking = setInterval(tick, (visibilitySeconds * 1000) / 3);
  return {
    remove,
    giveBack,
    within: async (most, call, pass) => {
      const room = () => {
        const fitting = Math.floor((MOST_BYTES - bytes) / each) - asking;
        const free = Math.min(10, most - held.size - asking, fitting);
        return held.size + asking === 0 ? Math.max(free, 1) : free;
      };
      while (!stopping.aborted && room() < 1) await changes.until(() => room() > 0, stopping);
      if (stopping.aborted) return false;
      const count = room();
      asking += count;
      try {
        const messages = await call(count);
        for (const message of messages) held.set(message, false);
        const brought = messages.reduce((sum, { Body = "" }) => sum + Body.length, 0);
        bytes += brought;
        if (messages.length > 0) each = Math.max(brought / messages.length, 1);
        counters.in_flight += messages.length;
        for (const message of messages) pass(message);
        return messages.length === count;
      } finally {
        asking -= count;
        changes.changed();
      }
    },
    empty: () => changes.until(() => held.size === 0, over),
    end: async () => {
      // Who still tries notices in this turn that it is over, and gives back.
      await sleep(GATHER_MS * 2);
      await Promise.all(ending);
      clearInterval(ticking);
    },
  };
}

/** Runs over messages by the ten, as soon as ten are there or a moment after the first. */
function gathered(
  run: (messages: Message[]) => Promise<void>,
  running: Set<Promise<void>>,
): (message: Message) => void {
  let waiting: Message[] = [];
  let timer: NodeJS.Timeout | undefined;
  const go = () => {
    clearTimeout(timer);
    timer = undefined;
    const ran = run(waiting).finally(() => running.delete(ran));
    running.add(ran);
    waiting = [];
  };
  return (message) => {
    waiting.push(message);
    if (waiting.length === 10) go();
    else timer ??= setTimeout(go, GATHER_MS);
  };
}
