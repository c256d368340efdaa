import type { History, Violation } from "../history/history.ts";
import { runsOf } from "./runs.ts";

/** The longest that API Gateway lets a call take, and what the client itself may add. */
const CALL_MS = 35_000;
/** One a function of the HTTP API, and one each of the others, with what a pool has beside them while it is renewed. */
const CONNECTIONS = 40;
/** Runs of one attempt beside the first: each process of its agent may have a copy of the request. */
const RUNS = 8;
/** Stops and questions about one piece of work: each process that has a copy of it may be told every five seconds. */
const ORDERS = 40;

/** I8: attempts, calls, orders and connections are bounded, only a running attempt costs one, and no process ends by itself. */
export function bounded(history: History): Violation[] {
  const invariant = "I8 bounded";
  const found: Violation[] = [];
  const say = (message: string) => found.push({ invariant, message });
  for (const { name, how, said } of history.crashes) say(`${name} ended by itself (${how}): ${said.slice(-300)}`);
  for (const { what, key, status, tookMs, error } of history.calls) {
    if (tookMs > CALL_MS) say(`${what} of ${key} took ${tookMs} ms`);
    if (status >= 500 && status !== 503) say(`${what} of ${key} was answered ${status}: ${error}`);
  }
  const most = new Map(history.tasks.map(({ taskId, maxAttempts }) => [taskId, maxAttempts]));
  const runs = runsOf(history);
  for (const { taskId, attemptsUsed } of history.changes) {
    if (attemptsUsed > (most.get(taskId) ?? Number.POSITIVE_INFINITY))
      say(`task ${taskId} used ${attemptsUsed} attempts`);
  }
  for (const { taskId, attemptsUsed, status } of history.tasks) {
    const answered = history.sent.filter((sent) => sent.taskId === taskId && sent.to === "waybill-results");
    const taken = [...(runs.get(taskId) ?? []), ...answered].map(({ attempt }) => attempt);
    const began = new Set(taken).size;
    const open = status === "executing" || status === "cancelled" || status === "cancelling" ? 1 : 0;
    if (attemptsUsed > began + open)
      say(`task ${taskId} paid ${attemptsUsed} attempts, of which agents took up ${began}`);
  }
  for (const [taskId, own] of runs) {
    for (const [attempt, same] of Map.groupBy(own, (run) => run.attempt)) {
      if (same.length > RUNS) say(`attempt ${attempt} of task ${taskId} ran ${same.length} times`);
    }
  }
  const orders = history.sent.filter(({ type, to }) => type === "work_status" && to.startsWith("waybill-agent-"));
  for (const [taskId, own] of Map.groupBy(orders, (sent) => sent.taskId)) {
    if (own.length > ORDERS) say(`agents were told to stop, or asked about, task ${taskId} ${own.length} times`);
  }
  if (history.connections > CONNECTIONS)
    say(`${history.connections} connections of the functions are open at the server`);
  return found;
}

/** I9: an agent does only work that is its own. */
export function apart(history: History): Violation[] {
  const agents = new Map(history.pieces.map(({ key, agent }) => [key, agent]));
  const tasks = new Map(history.tasks.map(({ taskId, requestId }) => [taskId, agents.get(requestId)]));
  const passed = new Set(history.handovers.map(({ taskId, to }) => `${taskId} ${to}`));
  return history.effects
    .filter(
      ({ taskId, agent, what }) =>
        what === "started" && tasks.get(taskId) !== agent && !passed.has(`${taskId} ${agent}`),
    )
    .map(({ taskId, agent }) => ({
      invariant: "I9 isolation",
      message: `${agent} did task ${taskId}, which is ${tasks.get(taskId) ?? "nobody"}'s`,
    }));
}

/** I8: who wants too much at once waits longer than the others. Only where somebody did. */
export function fair({ pieces, changes, tasks, calls }: History): Violation[] {
  const lanes = new Map(pieces.map(({ key, lane }) => [key, lane]));
  const asked = new Map(
    calls
      .filter(({ what }) => what === "submit")
      .toReversed()
      .map(({ key, at }) => [key, at]),
  );
  const ended = new Map(changes.filter(({ status }) => status === "completed").map(({ taskId, at }) => [taskId, at]));
  const waits = tasks.flatMap(({ taskId, requestId }) => {
    const [from, to] = [asked.get(requestId), ended.get(taskId)];
    return from === undefined || to === undefined ? [] : [{ lane: lanes.get(requestId), ms: to - from }];
  });
  const [calm, noisy] = ["calm", "noisy"].map((lane) => waits.filter((wait) => wait.lane === lane).map(({ ms }) => ms));
  if (noisy === undefined || calm === undefined || noisy.length < 30 || calm.length < 3) return [];
  if (median(calm) <= median(noisy)) return [];
  const message = `work of the other agent took ${median(calm)} ms, that of the noisy caller ${median(noisy)} ms (medians)`;
  return [{ invariant: "I8 bounded", message }];
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

/** I10: everything recovers by itself: the backlog is done soon after the fault is over, and new work is done again. */
export function recovered(history: History): Violation[] {
  const invariant = "I10 recovery";
  const { settledAt, probedAt, clearedAt, recoveryMs } = history;
  const found: Violation[] = [];
  if (settledAt === undefined) {
    const open = history.tasks.filter(({ status }) =>
      ["pending", "approved", "executing", "cancelling"].includes(status),
    );
    const what = open.length > 0 ? `${open.length} tasks are not over` : "callers are not answered";
    found.push({ invariant, message: `${what} ${Math.round(recoveryMs / 1000)} s after the fault` });
  } else if (settledAt - clearedAt > recoveryMs) {
    found.push({ invariant, message: `the backlog took ${Math.round((settledAt - clearedAt) / 1000)} s` });
  }
  if (probedAt === undefined)
    found.push({ invariant, message: "work that was submitted afterwards was not completed" });
  return found;
}
