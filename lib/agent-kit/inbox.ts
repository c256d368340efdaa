import type { Message, WorkRequestMessage } from "../protocol/messages.ts";
import { answerTo, type Refusal } from "../protocol/refusal.ts";
import { uuidv7 } from "../runtime/ids.ts";
import { log } from "../runtime/log.ts";
import { within } from "../time.ts";
import { Stopped } from "./ending.ts";
import type { Journal } from "./journal/journal.ts";
import { readMessage } from "./read-message.ts";
import type { Run } from "./run.ts";
import type { Delivery, Transport } from "./transports/transport.ts";

type Parts = {
  name: string;
  concurrency: number;
  journal: Journal;
  transport: Transport;
  /** The journal has something new to send. */
  wake: () => void;
  execute: (run: Run) => Promise<void>;
};

/** A piece of work in hand: waiting for a place, or running. Every delivery of it is deleted when it has ended. */
type Held = Run & { deliveries: Delivery[]; ended: Promise<void> | undefined };

/** A bound on memory alone: how much is with an agent at once is the orchestrator's choice (AGENT_IN_FLIGHT). */
export const MOST_WAITING = 100;

/** Carried in every message about the work, beside a chunk of output of up to 800 kB as JSON. */
const MOST_CUSTOM = 50_000;

/**
 * Where messages meet the journal. Here it is decided what becomes of each: started once, joined to the work that is running,
 * answered from the journal, cancelled, or refused. Work starts as places become free, oldest first.
 */
export class Inbox {
  readonly #parts: Parts;
  /** By request_id, oldest first. */
  readonly #held = new Map<string, Held>();
  /** Ids of refused deliveries whose sender has not been told yet. */
  readonly #unanswered = new Set<string>();
  #running = 0;
  #finishing = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** How many messages to ask the queue for: the free places, and 1 when there are none, so that a cancelled is heard. */
  room(): number {
    const { concurrency } = this.#parts;
    return this.#held.size >= concurrency + MOST_WAITING ? 0 : Math.max(1, concurrency - this.#held.size);
  }

  /** Whether every place is taken. */
  isBusy(): boolean {
    return this.#held.size >= this.#parts.concurrency;
  }

  /** Takes what the queue has lent, whatever it is. Never throws. */
  take(delivery: Delivery): void {
    const read = readMessage(this.#parts.name, delivery.body);
    if (!read.ok) return void this.#refuse(delivery, read);
    try {
      this.#takeMessage(read.message, delivery);
    } catch (error) {
      log.error("message not taken", { message_id: read.message.message_id, error });
    }
  }

  /** Keeps every message in hand from other agents for a while longer. */
  extend(): void {
    for (const work of this.#held.values()) void settle(work.deliveries, "extend");
  }

  /** Gives back what has not started, waits for the rest, and hands back what is not done after `graceMs`. */
  async finish(graceMs: number): Promise<void> {
    this.#finishing = true;
    const started: Promise<void>[] = [];
    const returned: Promise<void>[] = [];
    for (const [requestId, work] of this.#held) {
      if (work.ended !== undefined) started.push(work.ended);
      else {
        this.#held.delete(requestId);
        returned.push(settle(work.deliveries, "release"));
      }
    }
    await within(graceMs, Promise.all(started), () => {});
    for (const work of this.#held.values()) {
      work.controller.abort(new Stopped("shutting down", "handed back: the agent stopped"));
    }
    await Promise.all([...started, ...returned]);
  }

  #takeMessage(message: Message, delivery: Delivery): void {
    if (message.type === "work_request") return this.#takeRequest(message, delivery);
    if (message.type === "work_status" && message.payload.status === "cancelled") {
      this.#cancel(message.payload.task_id, message.payload.attempt);
    } else if (message.type === "error") {
      const { error_code, error_message, task_id } = message.payload;
      log.error("message refused by receiver", { error_code, error_message, task_id, trace_id: message.trace_id });
    } else log.warn("message ignored", { type: message.type, from_agent: message.from_agent });
    void settle([delivery], "accept");
  }

  #takeRequest(request: WorkRequestMessage, delivery: Delivery): void {
    const busy = this.#held.get(request.request_id);
    if (busy !== undefined) this.#join(busy, request, delivery);
    else if (this.#isOver(request)) void settle([delivery], "accept");
    else if (this.#parts.journal.find(request.request_id)?.state === "done") this.#answerAgain(request, delivery);
    else this.#hold(request, delivery);
  }

  /** Whether this attempt has ended here without a result to keep, or is not wanted any more. */
  #isOver({ request_id, payload: { task_id, attempt } }: WorkRequestMessage): boolean {
    const { journal } = this.#parts;
    const known = journal.find(request_id);
    if (known !== undefined && attempt < known.attempt) return true;
    if (known?.state === "stopped" && attempt === known.attempt) return true;
    return journal.isCancelled(task_id, attempt);
  }

  /** The same work is in hand: its answer will count for this attempt too. */
  #join(busy: Held, request: WorkRequestMessage, delivery: Delivery): void {
    const { attempt } = request.payload;
    busy.deliveries.push(delivery);
    if (attempt <= busy.request.payload.attempt) return;
    busy.request.payload.attempt = attempt;
    if (busy.ended !== undefined) this.#parts.journal.replay(request.request_id, attempt);
    this.#parts.wake();
    logOf(request).info("busy work took a later attempt");
  }

  #answerAgain(request: WorkRequestMessage, delivery: Delivery): void {
    this.#parts.journal.replay(request.request_id, request.payload.attempt);
    this.#parts.wake();
    logOf(request).info("finished work answered again");
    void settle([delivery], "accept");
  }

  #hold(request: WorkRequestMessage, delivery: Delivery): void {
    if (JSON.stringify(request.x_custom_fields ?? {}).length > MOST_CUSTOM) {
      delete request.x_custom_fields;
      logOf(request).warn("x_custom_fields too large to be carried", { most: MOST_CUSTOM });
    }
    const work = { request, controller: new AbortController(), deliveries: [delivery], ended: undefined };
    this.#held.set(request.request_id, work);
    this.#fill();
  }

  #fill(): void {
    for (const work of this.#held.values()) {
      if (this.#finishing || this.#running >= this.#parts.concurrency) return;
      if (work.ended === undefined) this.#start(work);
    }
  }

  #start(work: Held): void {
    const { request_id, payload } = work.request;
    this.#running++;
    const finished = this.#parts.execute(work).finally(() => {
      this.#running--;
      this.#held.delete(request_id);
      this.#fill();
    });
    work.ended = finished
      .then(() => settle(work.deliveries, "accept"))
      .catch((error: unknown) => log.error("work not kept", { task_id: payload.task_id, error }));
  }

  #cancel(taskId: string, attempt: number): void {
    this.#parts.journal.cancel(taskId, attempt);
    for (const work of this.#held.values()) {
      const { payload, request_id } = work.request;
      if (payload.task_id !== taskId || payload.attempt > attempt) continue;
      work.controller.abort(new Stopped("cancelled", "cancelled"));
      if (work.ended !== undefined) continue;
      this.#held.delete(request_id);
      void settle(work.deliveries, "accept");
    }
  }

  async #refuse(delivery: Delivery, refusal: Refusal): Promise<void> {
    // Once per message, not once per delivery: it comes back until the redrive policy has had enough.
    if (delivery.receiveCount === 1 || this.#unanswered.has(delivery.id)) {
      log.warn("message refused", { ...refusal.remains, error_code: refusal.error_code, reason: refusal.reason });
      if (!(await this.#answerRefused(delivery, refusal))) return void this.#unanswered.add(delivery.id);
      this.#unanswered.delete(delivery.id);
    }
    await settle([delivery], "reject");
  }

  /** Whether the sender has been told, or nobody is to be told. */
  async #answerRefused({ id }: Delivery, refusal: Refusal): Promise<boolean> {
    const { name, transport } = this.#parts;
    const body = answerTo(refusal, { from: name, deliveryId: id, newId: () => uuidv7(), now: new Date() });
    return body === undefined || (await transport.send([{ id, body }])).error === undefined;
  }
}

function logOf({ trace_id, payload }: WorkRequestMessage): ReturnType<typeof log.with> {
  return log.with({ task_id: payload.task_id, trace_id, attempt: payload.attempt });
}

/** Tells the queue, which may be away: then the message comes again, and the journal knows it. */
async function settle(deliveries: Delivery[], how: "accept" | "release" | "reject" | "extend"): Promise<void> {
  const outcomes = await Promise.allSettled(deliveries.map((delivery) => delivery[how]()));
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") log.debug("message not settled", { how, error: outcome.reason });
  }
}
