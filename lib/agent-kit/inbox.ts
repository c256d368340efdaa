import { setTimeout as sleep } from "node:timers/promises";
import type { Message, WorkRequestMessage } from "../protocol/messages.ts";
import { answerTo, type Refusal } from "../protocol/refusal.ts";
import { uuidv7 } from "../runtime/ids.ts";
import { log } from "../runtime/log.ts";
import type { Journal } from "./journal/journal.ts";
import { readMessage } from "./refusal.ts";
import { type Run, Stopped } from "./run.ts";
import type { Delivery, Transport } from "./transports/transport.ts";

/**
 * Where messages meet the journal. Here it is decided what becomes of each: started once, joined to the work that is running,
 * answered from the journal, cancelled, or refused.
 */
export type Inbox = {
  /** How many messages to ask the queue for: the free places, and 1 when there are none, so that a cancelled is heard. */
  room: () => number;
  /** Whether every place is taken. */
  isBusy: () => boolean;
  take: (delivery: Delivery) => void;
  /** Keeps every message in hand from other agents for a while longer. */
  extend: () => void;
  /** Gives back what has not started, waits for the rest, and hands back what is not done after `graceMs`. */
  finish: (graceMs: number) => Promise<void>;
};

type Parts = {
  name: string;
  concurrency: number;
  journal: Journal;
  transport: Transport;
  wake: () => void;
  execute: (run: Run) => Promise<void>;
};

/** A piece of work in hand: waiting for a place, or running. Every delivery of it is deleted when it has ended. */
type Held = Run & { deliveries: Delivery[]; ended: Promise<void> | undefined };

/** A bound on memory alone: how much is with an agent at once is the orchestrator's choice (AGENT_IN_FLIGHT). */
export const MOST_WAITING = 100;

/** Carried in every message about the work, beside a chunk of output of up to 800 kB as JSON. */
const MOST_CUSTOM = 50_000;

/** Opens the inbox of one agent: it starts work as places become free, oldest first. */
export function openInbox({ name, concurrency, journal, transport, wake, execute }: Parts): Inbox {
  const held = new Map<string, Held>();
  const unanswered = new Set<string>();
  let running = 0;
  let finishing = false;

  const fill = () => {
    for (const work of held.values()) {
      if (finishing || running >= concurrency) return;
      if (work.ended === undefined) start(work);
    }
  };
  const start = (work: Held) => {
    running++;
    const finished = execute(work).finally(() => {
      running--;
      held.delete(work.request.request_id);
      fill();
    });
    work.ended = finished
      .then(() => settle(work.deliveries, "accept"))
      .catch((error: unknown) => log.error("work not kept", { task_id: work.request.payload.task_id, error }));
  };

  const takeRequest = (request: WorkRequestMessage, delivery: Delivery) => {
    const { request_id, payload } = request;
    const bound = log.with({ task_id: payload.task_id, trace_id: request.trace_id, attempt: payload.attempt });
    const busy = held.get(request_id);
    if (busy !== undefined) {
      busy.deliveries.push(delivery);
      if (payload.attempt <= busy.request.payload.attempt) return;
      busy.request.payload.attempt = payload.attempt;
      if (busy.ended !== undefined) journal.replay(request_id, payload.attempt);
      wake();
      bound.info("busy work took a later attempt");
      return;
    }
    const known = journal.find(request_id);
    const isOver =
      known !== undefined &&
      (payload.attempt < known.attempt || (known.state === "stopped" && payload.attempt === known.attempt));
    if (isOver || journal.isCancelled(payload.task_id, payload.attempt)) return void settle([delivery], "accept");
    if (known?.state === "done") {
      journal.replay(request_id, payload.attempt);
      wake();
      bound.info("finished work answered again");
      return void settle([delivery], "accept");
    }
    if (JSON.stringify(request.x_custom_fields ?? {}).length > MOST_CUSTOM) {
      delete request.x_custom_fields;
      bound.warn("x_custom_fields too large to be carried", { most: MOST_CUSTOM });
    }
    held.set(request_id, { request, controller: new AbortController(), deliveries: [delivery], ended: undefined });
    fill();
  };

  const cancel = (taskId: string, attempt: number) => {
    journal.cancel(taskId, attempt);
    for (const work of held.values()) {
      const { payload, request_id } = work.request;
      if (payload.task_id !== taskId || payload.attempt > attempt) continue;
      work.controller.abort(new Stopped("cancelled", "cancelled"));
      if (work.ended !== undefined) continue;
      held.delete(request_id);
      void settle(work.deliveries, "accept");
    }
  };

  const refuse = async (delivery: Delivery, refusal: Refusal) => {
    // Once per message, not once per delivery: it comes back until the redrive policy has had enough.
    if (delivery.receiveCount === 1 || unanswered.has(delivery.id)) {
      log.warn("message refused", { ...refusal.remains, error_code: refusal.error_code, reason: refusal.reason });
      const answer = answerTo(refusal, { from: name, deliveryId: delivery.id, newId: () => uuidv7(), now: new Date() });
      const { error } = answer === undefined ? {} : await transport.send([{ id: delivery.id, body: answer }]);
      if (error !== undefined) return void unanswered.add(delivery.id);
      unanswered.delete(delivery.id);
    }
    await settle([delivery], "reject");
  };

  const takeMessage = (message: Message, delivery: Delivery) => {
    if (message.type === "work_request") return takeRequest(message, delivery);
    if (message.type === "work_status" && message.payload.status === "cancelled") {
      cancel(message.payload.task_id, message.payload.attempt);
    } else if (message.type === "error") {
      const { error_code, error_message, task_id } = message.payload;
      log.error("message refused by receiver", { error_code, error_message, task_id, trace_id: message.trace_id });
    } else log.warn("message ignored", { type: message.type, from_agent: message.from_agent });
    void settle([delivery], "accept");
  };

  return {
    room: () => (held.size >= concurrency + MOST_WAITING ? 0 : Math.max(1, concurrency - held.size)),
    isBusy: () => held.size >= concurrency,
    take: (delivery) => {
      const read = readMessage(name, delivery.body);
      if (!read.ok) return void refuse(delivery, read);
      try {
        takeMessage(read.message, delivery);
      } catch (error) {
        log.error("message not taken", { message_id: read.message.message_id, error });
      }
    },
    extend: () => {
      for (const work of held.values()) void settle(work.deliveries, "extend");
    },
    finish: async (graceMs) => {
      finishing = true;
      const started: Promise<void>[] = [];
      const returned: Promise<void>[] = [];
      for (const [requestId, work] of held) {
        if (work.ended !== undefined) started.push(work.ended);
        else {
          held.delete(requestId);
          returned.push(settle(work.deliveries, "release"));
        }
      }
      const limit = new AbortController();
      const grace = sleep(graceMs, undefined, { signal: limit.signal }).catch(() => {});
      await Promise.race([Promise.all(started), grace]);
      limit.abort();
      for (const work of held.values()) {
        work.controller.abort(new Stopped("shutting down", "handed back: the agent stopped"));
      }
      await Promise.all([...started, ...returned]);
    },
  };
}

/** Tells the queue, which may be away: then the message comes again, and the journal knows it. */
async function settle(deliveries: Delivery[], how: "accept" | "release" | "reject" | "extend"): Promise<void> {
  const outcomes = await Promise.allSettled(deliveries.map((delivery) => delivery[how]()));
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") log.debug("message not settled", { how, error: outcome.reason });
  }
}
