import { setTimeout as sleep } from "node:timers/promises";
import type { WorkRequestMessage } from "../protocol/messages.ts";
import { log } from "../runtime/log.ts";
import type { Beat } from "./beat.ts";
import { Stopped } from "./ending.ts";
import { Unwritable } from "./journal/broken.ts";
import type { Said } from "./journal/journal.ts";
import type { SturdyJournal } from "./journal/sturdy.ts";
import type { Pulse } from "./pulse.ts";
import { messageOf } from "./text.ts";
import { retryMs } from "./transports/transport.ts";

/** A run as the agent holds it. The request's attempt rises when the same work is asked for again meanwhile. */
export type Run = {
  request: WorkRequestMessage;
  /** Made when this process took the request in hand. */
  startId: string;
  controller: AbortController;
  /** The queue has its sign that it runs, and the journal knows of it. */
  begun?: boolean;
  /** Its signs of life, as held work while it waits for its turn, then as running work. */
  pulse?: Pulse;
};

/** What a run needs of its agent. */
export type RunTools = {
  journal: SturdyJournal;
  /** The journal has something new to send. */
  wake: () => void;
  beat: Beat;
};

/**
 * Begins a run before its author's code does: first the queue has its sign that it runs, then the journal knows of it. So a process
 * that dies of its work has cost an attempt, whether or not its journal is found again. Waits for the queue as long as it takes.
 * False where the run was stopped meanwhile or cannot be kept: that is told then, and the run is over.
 */
export async function begin(run: Run, { journal, wake, beat }: RunTools): Promise<boolean> {
  const { request, startId, controller } = run;
  if (await announce(run, beat)) {
    try {
      journal.begin(request, startId);
      run.begun = true;
      return true;
    } catch (error) {
      if (!(error instanceof Unwritable)) throw error;
      controller.abort(new Stopped("shutting down", "handed back: its journal could not be written"));
    }
  }
  journal.beginAndEnd(request, startId, undone(run));
  wake();
  return false;
}

/** Tells until the queue has taken it that the run, under the attempt that it then has, runs. False where it is stopped before. */
async function announce(run: Run, beat: RunTools["beat"]): Promise<boolean> {
  const { signal } = run.controller;
  const { payload } = run.request;
  const stopped = aborted(signal).then(() => false);
  let told: number | undefined;
  for (let failures = 0; !signal.aborted && told !== payload.attempt; ) {
    const { attempt, task_id } = payload;
    if (await Promise.race([beat(run, "executing"), stopped])) told = attempt;
    else if (!signal.aborted) {
      const wait_ms = retryMs(failures++);
      log.warn("work waits: the queue has not taken that it starts", { task_id, attempt, wait_ms });
      await sleep(wait_ms, undefined, { signal }).catch(() => {});
    }
  }
  return !signal.aborted;
}

/** The only word on a run that has not begun. It costs no attempt. */
function undone({ request, controller }: Run): Said {
  const { reason } = controller.signal;
  const status = reason instanceof Stopped && reason.why === "cancelled" ? "cancelled" : "approved";
  const message = `${messageOf(reason)} before the work started`;
  return { type: "work_status", payload: { task_id: request.payload.task_id, status, message } };
}

/** Answers when the signal is aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
