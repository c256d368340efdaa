import { setTimeout as sleep } from "node:timers/promises";
import type { WorkStatus } from "../protocol/messages.ts";
import { log } from "../runtime/log.ts";
import { aborted, begin, type Run, type RunTools } from "./begin.ts";
import { coded, type Outcome, type Work, type WorkContext, WorkFailed } from "./define-work.ts";
import { type Ending, endingOf, failed, Stopped } from "./ending.ts";
import type { Said } from "./journal/journal.ts";
import { LONGEST_TIMER_MS, startPulse } from "./pulse.ts";
import { type Measured, toResult, unsendable } from "./result.ts";
import { recordSteps } from "./steps.ts";
import { messageOf } from "./text.ts";

/** How long work may take to end after its signal has been aborted; then it is left to itself. */
const SETTLE_MS = 500;

/**
 * Does one piece of work from beginning to end: parameters, steps, lease, timeout, result. When it answers, all that is to be
 * said is in the journal. Throws only where the journal cannot be written.
 */
export async function execute(run: Run, works: Record<string, Work>, tools: RunTools): Promise<void> {
  const { request, controller } = run;
  const { request_id, trace_id, payload } = request;
  const { task_id, work_type, attempt } = payload;
  const bound = log.with({ task_id, trace_id, work_type, attempt });
  const say = (said: Said, last?: LastWord["state"]) => {
    tools.journal.say(request_id, said, last);
    tools.wake();
  };
  const tellStatus = (more: Partial<WorkStatus>) =>
    say({ type: "work_status", payload: { task_id, status: "executing", ...more } });

  run.pulse?.stop();
  if (!(await begin(run, tools))) return;
  const started = performance.now();
  bound.info("work started");
  const steps = recordSteps((step) => tellStatus({ step }), controller.signal);
  const pulse = startPulse(payload.lease_seconds, (latest) => void tools.beat(run, "executing", latest));
  run.pulse = pulse;
  const timeout = abortLater(controller, payload.timeout_seconds);
  const roles = openRoles(run, tellStatus);
  let told: Outcome;
  try {
    told = await settle(run, works, { step: steps.step, progress: pulse.progress, role: roles.role });
  } finally {
    // However it ends: a pulse that beats on would hold the lease of work that nobody does.
    roles.close();
    clearTimeout(timeout);
    pulse.stop();
  }
  const ending = endingOf(passable(run, told), controller.signal.reason);

  const duration_ms = Math.round(performance.now() - started);
  steps.close(ending.openSteps);
  const { said, state, details } = lastWord(run, ending, { duration_ms, ...steps.totals() });
  say(said, state);
  bound.info(`work ${ending.how}`, { ...details, duration_ms });
}

/** What closes a run, how the journal keeps it, and what the log says of it. */
type LastWord = { said: Said; state: "done" | "stopped"; details: object };

function lastWord(run: Run, ending: Ending, measured: Measured): LastWord {
  const { task_id } = run.request.payload;
  if (ending.how === "ended") {
    const result = toResult(run, ending.outcome, measured);
    const { status, exit_code } = result;
    // What another attempt may mend is not kept as the answer to it.
    const state = result.retryable === true ? "stopped" : "done";
    return { said: { type: "work_result", payload: result }, state, details: { status, exit_code } };
  }
  if (ending.how === "cancelled") {
    return { said: { type: "work_status", payload: { task_id, status: "cancelled" } }, state: "stopped", details: {} };
  }
  const over = ending.how === "handed over";
  const more = over ? { handover: ending.handover } : { message: "the agent stopped" };
  return {
    said: { type: "work_status", payload: { task_id, status: "approved", ...more } },
    state: "stopped",
    details: over ? { to_agent: ending.handover.to_agent } : {},
  };
}

/** Tells the parts that the agent takes in the work, until it is closed. */
function openRoles(run: Run, tellStatus: (more: Partial<WorkStatus>) => void) {
  let closed = false;
  const role: WorkContext["role"] = (name, more = {}) => {
    const said = { task_id: run.request.payload.task_id, status: "executing", role: { name, ...more } } as const;
    const fault = unsendable(run, "work_status", said);
    if (fault !== undefined) throw new Error(`the role cannot be told: ${fault}`);
    if (!closed) tellStatus(said);
  };
  return { role, close: () => (closed = true) };
}

/** What the work came to, whatever its author's code returned or threw. Never rejects. */
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
  const work = {
    task_id,
    attempt,
    request_text,
    hints,
    trace_id,
    ...(handedOn === undefined ? {} : { handover: handedOn }),
  };
  try {
    const prepared = found.prepare(parameters);
    if (!prepared.ok) {
      const faults = prepared.faults.map(({ field, message }) => `${field || "the whole"} ${message}`).join("; ");
      return failed(coded(5004, faults));
    }
    const done = prepared.run({ work, signal, ...tools, handover: (handover) => ({ handover }) });
    const outcome = (await Promise.race([done, afterAbort(signal)])) ?? {};
    const isFailed = outcome.error !== undefined || (outcome.exit_code ?? 0) !== 0;
    return worded({ ...outcome, status: outcome.status ?? (isFailed ? "failed" : "completed") });
  } catch (error) {
    return outcomeOf(error);
  }
}

/** What was thrown, as an outcome. */
function outcomeOf(error: unknown): Outcome {
  try {
    if (error instanceof WorkFailed) return worded(error.outcome);
  } catch {
    // A proxy that does not say what it is.
  }
  return failed(messageOf(error));
}

/** The outcome with its error as a text, whatever its author gave as one. */
function worded({ error, ...outcome }: Outcome): Outcome {
  return error === undefined || error === null ? outcome : { ...outcome, error: messageOf(error) };
}

/** The outcome, unless it is a handover that no queue can carry: then a failure that says so. */
function passable(run: Run, outcome: Outcome): Outcome {
  const { handover } = outcome;
  if (handover === undefined) return outcome;
  const { task_id } = run.request.payload;
  const fault = unsendable(run, "work_status", { task_id, status: "approved", handover });
  return fault === undefined ? outcome : failed(`the work's own handover cannot be sent: ${fault}`);
}

/** Ends the wait for work that does not listen to its signal. */
async function afterAbort(signal: AbortSignal): Promise<never> {
  await aborted(signal);
  await sleep(SETTLE_MS, undefined, { ref: false });
  throw signal.reason;
}

function abortLater(controller: AbortController, seconds: number): NodeJS.Timeout {
  const stop = () => controller.abort(new Stopped("timed out", `timed out after ${seconds} s`));
  return setTimeout(stop, Math.min(seconds * 1000, LONGEST_TIMER_MS));
}
