import { setTimeout as sleep } from "node:timers/promises";
import { type Message, ORCHESTRATOR, type WorkRequestMessage, type WorkStatusMessage } from "../protocol/messages.ts";
import type { Refusal } from "../protocol/refusal.ts";
import { uuidv7 } from "../runtime/ids.ts";
import { log } from "../runtime/log.ts";
import { within } from "../time.ts";
import type { Beat } from "./beat.ts";
import type { Run } from "./begin.ts";
import type { Clock } from "./clock.ts";
import { Stopped } from "./ending.ts";
import type { Waiting } from "./event-loop.ts";
import type { Identity } from "./identity.ts";
import { Unwritable } from "./journal/broken.ts";
import type { SturdyJournal } from "./journal/sturdy.ts";
import { startPulse } from "./pulse.ts";
import { notAuthentic, readMessage } from "./read-message.ts";
import { refuser } from "./refuse.ts";
import { settle } from "./settle.ts";
import type { Delivery, Transport } from "./transports/transport.ts";

type Parts = {
  name: string;
  concurrency: number;
  journal: SturdyJournal;
  transport: Transport;
  /** The journal has something new to send. */
  wake: () => void;
  beat: Beat;
  clock: Clock;
  identity: Identity;
  execute: (run: Run) => Promise<void>;
};

/** A piece of work in hand: waiting for a place, or running. Every delivery of it is deleted when it has ended. */
type Held = Run & { deliveries: Delivery[]; ended?: Promise<void> };

/** A bound on memory alone: how much is with an agent at once is the orchestrator's choice (AGENT_IN_FLIGHT). */
export const MOST_WAITING = 100;

/** So long a message waits whose sender cannot be made sure of; five times that, and it is a dead letter, and asked for again. */
const UNKNOWN_MS = 20_000;

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
  readonly #refuse: (delivery: Delivery, refusal: Refusal) => Promise<void>;
  #running = 0;
  #finishing = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#refuse = refuser(parts.name, parts.transport, parts.identity.sign);
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

  /** What is in hand, oldest first, and how often it says so. */
  inHand(): Waiting[] {
    return [...this.#held.values()].map(({ request: { payload } }) => {
      const { task_id, work_type, lease_seconds } = payload;
      return { task_id, work_type, everyMs: (lease_seconds * 1000) / 3 };
    });
  }

  /** Takes what the queue has lent, whatever it is. Never throws. */
  async take(delivery: Delivery): Promise<void> {
    const read = readMessage(this.#parts.name, delivery.body);
    if (!read.ok) return void this.#refuse(delivery, read);
    try {
      const why = await this.#parts.identity.trust.whyNot(read.message, read.raw);
      if (why !== undefined) return void this.#refuse(delivery, notAuthentic(read.message, why));
    } catch (error) {
      log.warn("message waits: the control plane's keys cannot be asked for", { error });
      return void sleep(UNKNOWN_MS, undefined, { ref: false }).then(() => settle([delivery], "release"));
    }
    try {
      this.#takeMessage(read.message, delivery);
    } catch (error) {
      log.error("message not taken", { message_id: read.message.message_id, error });
      // Another process may know what the journal cannot say.
      if (error instanceof Unwritable) void settle([delivery], "release");
    }
  }

  /** Keeps every message in hand from other agents for a while longer. */
  extend(): void {
    for (const work of this.#held.values()) void settle(work.deliveries, "extend");
  }

  /** Stops runs that cannot be told whole any more: they go back to the queue. */
  stopLost(): void {
    for (const [requestId, { controller }] of this.#held) {
      if (this.#parts.journal.isLost(requestId)) {
        controller.abort(new Stopped("shutting down", "handed back: what it said cannot be read from the journal"));
      }
    }
  }

  /** Gives back to the queue what has not started. */
  async giveBack(): Promise<void> {
    const waiting = [...this.#held].filter(([, { ended }]) => ended === undefined);
    for (const [requestId, { pulse }] of waiting) {
      this.#held.delete(requestId);
      pulse?.stop();
    }
    await settle(
      waiting.flatMap(([, { deliveries }]) => deliveries),
      "release",
    );
  }

  /** Gives back what waits and what has not begun, waits for the rest, and hands back what is not done after `graceMs`. */
  async finish(graceMs: number): Promise<void> {
    this.#finishing = true;
    const returned = this.giveBack();
    const started = [...this.#held.values()].flatMap(({ ended }) => ended ?? []);
    this.#handBack(({ begun }) => begun !== true);
    await within(graceMs, Promise.all(started), () => {});
    this.#handBack(() => true);
    await Promise.all([...started, returned]);
  }

  #handBack(which: (run: Run) => boolean): void {
    for (const run of [...this.#held.values()].filter(which)) {
      run.controller.abort(new Stopped("shutting down", "handed back: the agent stopped"));
    }
  }

  #takeMessage(message: Message, delivery: Delivery): void {
    if (message.from_agent === ORCHESTRATOR)
      this.#parts.clock.compareSent(new Date(message.timestamp), "the orchestrator");
    if (message.type === "work_request") return this.#takeRequest(message, delivery);
    if (message.type === "work_status" && isQuestion(message)) return this.#takeStatus(message, delivery);
    if (message.type === "error") {
      const { error_code, error_message, task_id } = message.payload;
      log.error("message refused by receiver", { error_code, error_message, task_id, trace_id: message.trace_id });
    } else log.warn("message ignored", { type: message.type, from_agent: message.from_agent });
    void settle([delivery], "accept");
  }

  #takeRequest(request: WorkRequestMessage, delivery: Delivery): void {
    const { journal } = this.#parts;
    const { task_id, attempt } = request.payload;
    const busy = this.#held.get(request.request_id);
    if (busy !== undefined) return this.#join(busy, request, delivery);
    const known = journal.find(request.request_id);
    if (known !== undefined && attempt < known.attempt) return void settle([delivery], "accept");
    if (known?.state === "stopped" && attempt === known.attempt) return void settle([delivery], "accept");
    if (known?.state === "done") return this.#answerAgain(request, delivery);
    const work = { request, startId: uuidv7(), controller: new AbortController(), deliveries: [delivery] };
    if (journal.isCancelled(task_id, attempt)) this.#drop(work);
    else this.#hold(work);
  }

  /** The same work is in hand: its answer will count for this attempt too. */
  #join(busy: Held, request: WorkRequestMessage, delivery: Delivery): void {
    const { attempt, lease_token } = request.payload;
    busy.deliveries.push(delivery);
    if (attempt <= busy.request.payload.attempt) return;
    Object.assign(busy.request.payload, { attempt, lease_token });
    if (busy.begun === true) this.#parts.journal.replay(request.request_id, attempt, lease_token);
    busy.pulse?.beat();
    this.#parts.wake();
    logOf(request).info("busy work took a later attempt");
  }

  #answerAgain(request: WorkRequestMessage, delivery: Delivery): void {
    const { attempt, lease_token } = request.payload;
    this.#parts.journal.replay(request.request_id, attempt, lease_token);
    this.#parts.wake();
    logOf(request).info("finished work answered again");
    void settle([delivery], "accept");
  }

  #hold(work: Held): void {
    const { request } = work;
    if (JSON.stringify(request.x_custom_fields ?? {}).length > MOST_CUSTOM) {
      delete request.x_custom_fields;
      logOf(request).warn("x_custom_fields too large to be carried", { most: MOST_CUSTOM });
    }
    this.#held.set(request.request_id, work);
    this.#fill();
    if (work.ended !== undefined || this.#finishing) return;
    work.pulse = startPulse(request.payload.lease_seconds, () => void this.#parts.beat(work, "held"));
    work.pulse.beat();
  }

  #fill(): void {
    for (const work of this.#held.values()) {
      if (this.#finishing || !this.#parts.journal.isWritable() || this.#running >= this.#parts.concurrency) return;
      if (work.ended === undefined) this.#start(work);
    }
  }

  #start(work: Held): void {
    const { request_id, payload } = work.request;
    this.#running++;
    const finished = this.#parts.execute(work).finally(() => {
      this.#running--;
      this.#held.delete(request_id);
      work.pulse?.stop();
      this.#fill();
    });
    work.ended = finished.then(
      () => settle(work.deliveries, "accept"),
      async (error: unknown) => {
        log.error("work not kept", { task_id: payload.task_id, error });
        // What it said cannot be read any more; with any other error it comes again when its visibility is over.
        if (error instanceof Unwritable) await settle(work.deliveries, "release");
      },
    );
  }

  /** Stops what it is told to stop, or says what has become of the work; what it does not know, another process may. */
  #takeStatus(message: WorkStatusMessage, delivery: Delivery): void {
    const { task_id, attempt, start_id, status } = message.payload;
    const isStop = status === "cancelled";
    if (isStop && start_id === undefined) this.#parts.journal.cancel(task_id, attempt);
    let isMine = false;
    for (const work of this.#held.values()) {
      const { payload } = work.request;
      if (start_id === undefined ? payload.task_id !== task_id : work.startId !== start_id) continue;
      isMine ||= start_id !== undefined || payload.attempt === attempt;
      // Another request has made it a later attempt, which nobody has cancelled.
      if (isStop && payload.attempt <= attempt) this.#stop(work);
      else work.pulse?.beat();
    }
    isMine ||= this.#tellAgain(message);
    void settle([delivery], isMine ? "accept" : "passOn");
  }

  /** Tells again how a run has ended; whether it is the very one that was asked about. */
  #tellAgain({ request_id, payload: { attempt, start_id } }: WorkStatusMessage): boolean {
    const { journal, wake } = this.#parts;
    const known = start_id === undefined ? journal.find(request_id) : journal.findStart(start_id);
    if (known === undefined || known.state === "running") return false;
    const isIt = start_id !== undefined || known.attempt === attempt;
    if (known.state === "done") journal.replay(known.requestId, known.attempt);
    else if (isIt) journal.repeatLast(known.requestId);
    wake();
    return isIt;
  }

  #stop(work: Held): void {
    if (work.ended === undefined) this.#drop(work);
    else work.controller.abort(new Stopped("cancelled", "cancelled"));
  }

  /** Confirms that work which has not started never will. */
  #drop(work: Held): void {
    const { request_id, payload } = work.request;
    const said = { task_id: payload.task_id, status: "cancelled", message: "cancelled before it started" } as const;
    this.#parts.journal.beginAndEnd(work.request, work.startId, { type: "work_status", payload: said });
    this.#parts.wake();
    this.#held.delete(request_id);
    work.pulse?.stop();
    void settle(work.deliveries, "accept");
  }
}

/** Whether it is the orchestrator that stops work, or asks what has become of it. */
function isQuestion({ from_agent, payload: { status } }: WorkStatusMessage): boolean {
  return from_agent === ORCHESTRATOR && (status === "cancelled" || status === "executing");
}

function logOf({ trace_id, payload }: WorkRequestMessage): ReturnType<typeof log.with> {
  return log.with({ task_id: payload.task_id, trace_id, attempt: payload.attempt });
}
