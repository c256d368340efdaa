import { type Change, FINAL, type History, outputOf, type Violation } from "../history/history.ts";
import { type Run, runsOf } from "./runs.ts";

/** From each state, what may follow without a person's decision. A result that comes late counts: approved and failed may complete. */
const FOLLOWS: Record<string, readonly string[]> = {
  pending: ["approved", "rejected", "cancelled", "pending"],
  approved: ["executing", "completed", "failed", "cancelled", "cancelling", "approved"],
  executing: ["approved", "completed", "failed", "cancelled", "cancelling", "executing"],
  cancelling: ["cancelled", "completed", "failed"],
  failed: ["completed"],
};

/** I3: only legal transitions; what is final stays so; the attempt never falls. */
export function legal(history: History): Violation[] {
  const invariant = "I3 legal transitions";
  const found: Violation[] = [];
  const say = (message: string) => found.push({ invariant, message });
  for (const [taskId, changes] of Map.groupBy(history.changes, (change) => change.taskId)) {
    let before: Change | undefined;
    for (const now of changes) {
      if (before !== undefined) {
        const { status, attempt, attemptsUsed } = before;
        if (now.status !== status && FOLLOWS[status]?.includes(now.status) !== true) {
          say(`task ${taskId} went from ${status} to ${now.status} (attempt ${now.attempt})`);
        }
        if (now.attempt < attempt) say(`task ${taskId} went back from attempt ${attempt} to ${now.attempt}`);
        // A second process with the request of the attempt that failed has a number of its own, and costs nothing.
        if (status === "failed" && now.status === "completed" && now.attemptsUsed > attemptsUsed) {
          say(`task ${taskId} was failed and got attempt ${now.attempt}`);
        }
      }
      before = now;
    }
  }
  return found;
}

/** I4: the effect is there once and whole: completed work has all steps and the output of one run that finished, and of no other. */
export function effectOnce(history: History): Violation[] {
  const invariant = "I4 effect once";
  const found: Violation[] = [];
  const say = (message: string) => found.push({ invariant, message });
  const runs = runsOf(history);
  const plans = new Map(history.pieces.map(({ key, plan }) => [key, plan]));
  const outputs = new Map(history.outputs.map((output) => [output.taskId, output]));
  for (const { taskId, requestId, status, toAgent } of history.tasks) {
    const own = (runs.get(taskId) ?? []).filter(({ agent }) => agent === toAgent);
    const plan = plans.get(requestId);
    if (status !== "completed" || plan === undefined) continue;
    const finished = own.filter(({ ended }) => ended === "finished");
    if (finished.length === 0) {
      say(`task ${taskId} is completed and no run of it finished`);
      continue;
    }
    const output = outputs.get(taskId);
    if (output !== undefined && !finished.some(({ run }) => output.text === outputOf(run, plan))) {
      const wanted = outputOf(finished[0]?.run ?? "", plan).length;
      say(
        `task ${taskId} is completed with ${output.text.length} bytes of output (HTTP ${output.status}) that are no finished ` +
          `run's ${wanted}: ${JSON.stringify(output.text.slice(0, 120))}`,
      );
    }
    const steps = history.steps.filter((step) => step.taskId === taskId && step.status === "completed");
    const whole = finished.some((run) => stepsOf(run, steps) >= plan.steps);
    if (!whole)
      say(`task ${taskId} is completed, but not all ${plan.steps} steps of the run that finished are recorded`);
  }
  return found;
}

function stepsOf({ run }: Run, steps: History["steps"]): number {
  return steps.filter(({ action }) => action.endsWith(` of ${run}`)).length;
}

/** I5: nothing of a foreign agent, a foreign run or an attempt that never was changes anything; after a cancel nothing ends otherwise. */
export function fenced(history: History): Violation[] {
  const invariant = "I5 fencing";
  const found: Violation[] = [];
  for (const mark of history.forged) {
    for (const { taskId, row } of history.tasks) {
      if (row.includes(mark)) found.push({ invariant, message: `task ${taskId} carries ${mark}, which was forged` });
    }
    for (const { taskId, step, action } of history.steps) {
      if (action.includes(mark))
        found.push({ invariant, message: `step ${step} of task ${taskId} is ${mark}, which was forged` });
    }
    for (const { taskId, text } of history.outputs) {
      if (text.includes(mark))
        found.push({ invariant, message: `the output of task ${taskId} has ${mark}, which was forged` });
    }
  }
  return found;
}

/** What a process that runs may take to hear of a cancel and to stop, in milliseconds; the handler's own half second in it. */
const HEARING_MS = 15_000;

/**
 * I5: a cancel and a hand-over reach the process that has the work, whichever it is. What ends before it can hear may end, and what never
 * listens is left to itself.
 */
export function stopHeard(history: History): Violation[] {
  const runs = runsOf(history);
  const deaf = new Set(history.pieces.filter(({ plan }) => plan.hang).map(({ key }) => key));
  const listening = new Set(history.tasks.filter(({ requestId }) => !deaf.has(requestId)).map(({ taskId }) => taskId));
  const cancels = history.decisions.filter(({ decision }) => decision === "cancel");
  const stops = [
    ...cancels.map(({ taskId, at }) => ({ taskId, at, what: "the cancel", agent: undefined })),
    ...history.handovers.map(({ taskId, from, at }) => ({ taskId, at, what: "the hand-over", agent: from })),
  ];
  const heard = stops.filter(({ taskId }) => listening.has(taskId));
  return heard.flatMap(({ taskId, at, what, agent }) => {
    const until = Math.max(at, history.clearedAt) + HEARING_MS;
    const own = (runs.get(taskId) ?? []).filter((run) => !run.cut && (agent === undefined || run.agent === agent));
    return own
      .filter(
        ({ startedAt, endedAt }) =>
          startedAt > until || (startedAt <= at && (endedAt ?? Number.POSITIVE_INFINITY) > until),
      )
      .map(({ run, attempt, startedAt, endedAt }) => {
        const how =
          startedAt > until
            ? "began"
            : endedAt === undefined
              ? "has not ended"
              : `went on ${Math.round(endedAt - at)} ms`;
        return {
          invariant: "I5 fencing",
          message: `run ${run} of attempt ${attempt} of task ${taskId} ${how} after ${what}`,
        };
      });
  });
}

/** What was not sent for so long, in milliseconds, was sent because it was asked for anew (PICKUP_SECONDS); the sweep needs a few. */
const ASKED_ANEW_MS = 19_000;
const SWEPT_MS = 10_000;

/** I6: what a row promises was sent, and not only when nobody had taken it for long; nothing was sent that no row promises. */
export function outboxKept(history: History): Violation[] {
  const invariant = "I6 outbox";
  const found: Violation[] = [];
  const say = (message: string) => found.push({ invariant, message });
  const known = new Set(history.changes.map(({ taskId, attempt }) => `${taskId} ${attempt}`));
  const requests = history.sent.filter(({ type, to }) => type === "work_request" && to.startsWith("waybill-agent-"));
  const sent = Map.groupBy(requests, ({ taskId, attempt }) => `${taskId} ${attempt}`);
  for (const one of sent.keys()) if (!known.has(one)) say(`a request of attempt ${one} was sent and never committed`);
  const over = new Set(history.tasks.filter(({ status }) => FINAL.has(status)).map(({ taskId }) => taskId));
  const cancelled = new Set(
    history.decisions.filter(({ decision }) => decision === "cancel").map(({ taskId }) => taskId),
  );
  for (const { taskId, attempt, at } of dispatched(history)) {
    const one = `${taskId} ${attempt}`;
    const first = sent.get(one)?.[0]?.at;
    // Not sent any more where it was cancelled, or an earlier attempt has completed the work after all.
    if (first === undefined && !cancelled.has(taskId) && !endedByAnother(history, one))
      say(`attempt ${one} was started and its request never sent`);
    if (first !== undefined && first > at + ASKED_ANEW_MS && first > history.clearedAt + history.lockedMs + SWEPT_MS)
      say(
        `the request of attempt ${one} was sent ${Math.round(first - at)} ms after its start, when it was asked for anew`,
      );
  }
  for (const { taskId, attempt, dueForMs } of history.outbox) {
    if (dueForMs > 0 && !over.has(taskId))
      say(`a message of task ${taskId} (attempt ${attempt}) has been due for ${Math.round(dueForMs)} ms`);
  }
  return found;
}

/** Whether its work was ended by another attempt. */
function endedByAnother({ tasks }: History, one: string): boolean {
  const task = tasks.find(({ taskId }) => one.startsWith(taskId));
  const { ended_by } = JSON.parse(task?.row ?? "{}") as { ended_by?: number | null };
  return typeof ended_by === "number" && one !== `${task?.taskId} ${ended_by}`;
}

/** The moments at which a dispatcher began an attempt. One that a second process of an agent has begun by a copy of the request is none. */
function dispatched({ changes }: History): History["changes"] {
  return [...Map.groupBy(changes, ({ taskId }) => taskId).values()].flatMap((own) =>
    own.filter(({ status, attempt }, at) => {
      const before = own[at - 1];
      return status === "executing" && before?.status !== "executing" && attempt > (before?.attempt ?? 0);
    }),
  );
}
