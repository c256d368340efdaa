import { setTimeout as sleep } from "node:timers/promises";
import type { Step, WorkRequestMessage, WorkStatus } from "../protocol/messages.ts";
import { log } from "../runtime/log.ts";
import { coded, type Outcome, type Work, type WorkContext, WorkFailed } from "./define-work.ts";
import type { Journal, Said } from "./journal/journal.ts";
import { toResult, unsendable } from "./result.ts";
import { recordSteps } from "./steps.ts";
import { clip, messageOf } from "./text.ts";

/** How long work may take to end after its signal has been aborted; then it is left to itself. */
const SETTLE_MS = 500;
/** Progress is told at most this often. */
const PROGRESS_MS = 500;
/** setTimeout fires at once for more than this. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Why a run was stopped: the reason of its signal. */
export class Stopped extends Error {
  override name = "Stopped";
  readonly why: "cancelled" | "timed out" | "shutting down";

  constructor(why: Stopped["why"], message: string) {
    super(message);
    this.why = why;
  }
}

/** A run as the agent holds it. The request's attempt rises when the same work is asked for again meanwhile. */
export type Run = { request: WorkRequestMessage; controller: AbortController };

export type RunTools = {
  journal: Journal;
  /** The journal has something new to send. */
  wake: () => void;
  /** Says at once that the run is alive; lost ones do not matter. */
  beat: (run: Run, progress: Progress) => Promise<void>;
};

export type Progress = { progress?: number; message?: string };

/**
 * Does one piece of work from beginning to end: parameters, steps, lease, timeout, result. When it answers, all that is to be
 * said is in the journal. Throws only where the journal cannot be written.
 */
export async function execute(run: Run, works: Record<string, Work>, tools: RunTools): Promise<void> {
  const { journal, wake } = tools;
  const { request_id, trace_id, payload } = run.request;
  const { task_id, work_type } = payload;
  const bound = log.with({ task_id, trace_id, work_type, attempt: payload.attempt });
  const started = performance.now();
  const say = (said: Said, last?: "done" | "stopped") => {
    journal.say(request_id, said, last);
    wake();
  };

  journal.begin(run.request);
  bound.info("work started");
  const { signal } = run.controller;
  const tellStatus = (more: Partial<WorkStatus>) =>
    say({ type: "work_status", payload: { task_id, status: "executing", ...more } });
  const tell = (step: Step) => tellStatus({ step });
  const steps = recordSteps(tell, signal);
  const pulse = startPulse(run, tools.beat);
  const timeout = abortLater(run.controller, payload.timeout_seconds);
  const role: WorkContext["role"] = (name, more = {}) => {
    const said = { task_id, status: "executing", role: { name, ...more } } as const;
    const fault = unsendable(run.request, "work_status", said);
    if (fault !== undefined) throw new Error(`the role cannot be told: ${fault}`);
    if (!ended) tellStatus(said);
  };
  let ended = false;
  const told = await settle(run, works, { step: steps.step, progress: pulse.progress, role });
  ended = true;
  const ending = passable(run.request, told);
  clearTimeout(timeout);
  pulse.stop();

  const duration_ms = Math.round(performance.now() - started);
  const stopped: unknown = signal.reason;
  const why = stopped instanceof Stopped ? stopped.why : undefined;
  if (why === "cancelled") {
    steps.close(messageOf(stopped));
    journal.stop(request_id);
    bound.info("work cancelled", { duration_ms });
  } else if (ending.handover !== undefined && why !== "timed out") {
    steps.close("still open when its work was handed over");
    const { handover } = ending;
    say({ type: "work_status", payload: { task_id, status: "approved", handover } }, "stopped");
    bound.info("work handed over", { duration_ms, to_agent: handover.to_agent });
  } else if (why === "shutting down" && ending.status !== "completed") {
    steps.close(messageOf(stopped));
    say({ type: "work_status", payload: { task_id, status: "approved", message: "the agent stopped" } }, "stopped");
    bound.info("work handed back", { duration_ms });
  } else {
    const outcome = why === "timed out" ? failed(coded(5006, messageOf(stopped))) : ending;
    steps.close(outcome.error ?? "still open when its work ended");
    const result = toResult(run.request, outcome, { duration_ms, ...steps.totals() });
    // What another attempt may mend is not kept as the answer to it.
    say({ type: "work_result", payload: result }, result.retryable === true ? "stopped" : "done");
    bound.info("work ended", { status: result.status, exit_code: result.exit_code, duration_ms });
  }
}

async function settle(
  run: Run,
  works: Record<string, Work>,
  tools: Pick<WorkContext, "step" | "progress" | "role">,
): Promise<Outcome> {
  const { trace_id, payload } = run.request;
  const { task_id, attempt, request_text, hints, handover: handedOn, work_type, parameters } = payload;
  const { signal } = run.controller;
  const found = Object.hasOwn(works, work_type) ? works[work_type] : undefined;
  if (found === undefined) {
    const known = Object.keys(works).join(", ");
    return failed(coded(5002, `there is no "${work_type}" here; this agent does: ${known}`));
  }
  const prepared = found.prepare(parameters);
  if (!prepared.ok) {
    const faults = prepared.faults.map(({ field, message }) => `${field || "the whole"} ${message}`).join("; ");
    return failed(coded(5004, faults));
  }
  const work = {
    task_id,
    attempt,
    request_text,
    hints,
    trace_id,
    ...(handedOn === undefined ? {} : { handover: handedOn }),
  };
  try {
    const done = prepared.run({ work, signal, ...tools, handover: (handover) => ({ handover }) });
    const outcome = (await Promise.race([done, afterAbort(signal)])) ?? {};
    const isFailed = outcome.error !== undefined || (outcome.exit_code ?? 0) !== 0;
    return { ...outcome, status: outcome.status ?? (isFailed ? "failed" : "completed") };
  } catch (error) {
    return error instanceof WorkFailed ? error.outcome : failed(messageOf(error));
  }
}

/** The outcome, unless it is a handover that no queue can carry: then a failure that says so. */
function passable(request: WorkRequestMessage, outcome: Outcome): Outcome {
  const { handover } = outcome;
  if (handover === undefined) return outcome;
  const { task_id } = request.payload;
  const fault = unsendable(request, "work_status", { task_id, status: "approved", handover });
  return fault === undefined ? outcome : failed(`the work's own handover cannot be sent: ${fault}`);
}

/** Ends the wait for work that does not listen to its signal. */
async function afterAbort(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await sleep(SETTLE_MS, undefined, { ref: false });
  throw signal.reason;
}

function abortLater(controller: AbortController, seconds: number): NodeJS.Timeout {
  const stop = () => controller.abort(new Stopped("timed out", `timed out after ${seconds} s`));
  return setTimeout(stop, Math.min(seconds * 1000, LONGEST_TIMER_MS));
}

/** Tells at once, and then three times a lease, that the run is alive, with its latest progress. */
function startPulse(run: Run, beat: RunTools["beat"]): { progress: WorkContext["progress"]; stop: () => void } {
  let latest: Progress = {};
  let soon: NodeJS.Timeout | undefined;
  const tell = () => {
    soon = undefined;
    void beat(run, latest);
  };
  const everyMs = Math.min((run.request.payload.lease_seconds * 1000) / 3, LONGEST_TIMER_MS);
  const timer = setInterval(tell, everyMs);
  let stopped = false;
  tell();
  return {
    progress: (fraction, message) => {
      if (stopped) return;
      const progress = Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : 0;
      latest = { progress, ...(message === undefined ? {} : { message: clip(message, 500) }) };
      soon ??= setTimeout(tell, PROGRESS_MS);
    },
    stop: () => {
      stopped = true;
      clearInterval(timer);
      clearTimeout(soon);
    },
  };
}

function failed(error: string): Outcome {
  return { status: "failed", error };
}
