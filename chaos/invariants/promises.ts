import { FINAL, type History, type Violation } from "../history/history.ts";
import { runsOf } from "./runs.ts";

/** I1: no accepted work is lost. Each 2xx submit is exactly one task, which ends, and ends as its agent did it. */
export function noWorkLost(history: History): Violation[] {
  const invariant = "I1 no work lost";
  const found: Violation[] = [];
  const say = (message: string) => found.push({ invariant, message });
  const tasks = new Map(history.tasks.map((task) => [task.taskId, task]));
  const pieces = new Map(history.pieces.map((piece) => [piece.key, piece]));
  for (const [key, taskId] of promisesOf(history)) {
    if (taskId === undefined) {
      say(`a submit of ${key} was answered 2xx without a task_id`);
      continue;
    }
    const task = tasks.get(taskId);
    if (task === undefined) say(`task ${taskId} was promised (key ${key}) and is in no row`);
    else if (!FINAL.has(task.status)) say(`task ${taskId} is still ${task.status} at the end, attempt ${task.attempt}`);
    else if (pieces.get(key)?.plan === undefined) say(`task ${taskId} has the key ${key}, which nobody submitted`);
  }
  const runs = runsOf(history);
  const decided = new Set(
    history.decisions.filter(({ decision }) => decision === "cancel").map(({ taskId }) => taskId),
  );
  for (const { taskId, status, requestId, maxAttempts, errorMessage } of history.tasks) {
    if (status !== "failed" || decided.has(taskId)) continue;
    const own = runs.get(taskId) ?? [];
    const plan = pieces.get(requestId)?.plan;
    const done = own.find(({ ended, cut }) => ended === "finished" && !cut);
    const why = `"${errorMessage}"`;
    if (done !== undefined)
      say(`task ${taskId} is failed (${why}), but run ${done.run} of attempt ${done.attempt} completed it`);
    else if (plan?.fatal === true && own.some(({ ended }) => ended === "failed")) continue;
    // A timeout is a result of its agent, and final.
    else if (plan?.hang === true && own.length > 0) continue;
    else {
      const spent = new Set(
        own.filter(({ ended, cut }) => cut || ended === "failed" || ended === "stopped").map(({ attempt }) => attempt),
      );
      if (spent.size < maxAttempts) {
        say(
          `task ${taskId} is failed (${why}) after ${spent.size} attempts that ran and went wrong, of ${maxAttempts}`,
        );
      }
    }
  }
  return found;
}

/** I2: n submits under one key are one task with one id; under the same key with other content, 409. */
export function idempotent(history: History): Violation[] {
  const invariant = "I2 idempotent";
  const found: Violation[] = [];
  const submits = history.calls.filter(({ what, status }) => what === "submit" && isTaken(status));
  for (const [key, calls] of Map.groupBy(submits, (call) => call.key)) {
    const ids = new Set(calls.map(({ taskId }) => taskId));
    if (ids.size > 1)
      found.push({ invariant, message: `key ${key} was answered with ${ids.size} tasks: ${[...ids].join(", ")}` });
  }
  for (const [requestId, tasks] of Map.groupBy(history.tasks, (task) => task.requestId)) {
    if (tasks.length > 1) found.push({ invariant, message: `key ${requestId} has ${tasks.length} rows` });
  }
  const keys = new Set(history.pieces.map(({ key }) => key));
  for (const { taskId, requestId } of history.tasks) {
    if (!keys.has(requestId))
      found.push({ invariant, message: `task ${taskId} has the key ${requestId}, which nobody gave` });
  }
  for (const { what, key, status } of history.calls) {
    if (what === "conflict" && isTaken(status)) {
      found.push({ invariant, message: `key ${key} was taken again (${status}) with other content` });
    }
  }
  return found;
}

/** I7: what was submitted is what is there, and nothing valid lies among the dead. Poison does, each once. */
export function conserved(history: History): Violation[] {
  const invariant = "I7 conservation";
  const found: Violation[] = [];
  const ours = new Set(history.tasks.map(({ taskId }) => taskId));
  const forged = (body: string) => history.forged.some((mark) => body.includes(mark));
  for (const { queue, body, taskId, valid } of history.letters) {
    if (valid && taskId !== undefined && ours.has(taskId) && !forged(body)) {
      found.push({ invariant, message: `a valid message of task ${taskId} lies in ${queue}: ${body.slice(0, 300)}` });
    }
  }
  for (const { mark, queue } of history.poison) {
    const copies = history.letters.filter(({ body }) => body.includes(mark)).length;
    if (copies === 0)
      found.push({ invariant, message: `poison ${mark} of queue ${queue} is gone without a dead letter` });
  }
  return found;
}

/** By key, what the client was promised. */
function promisesOf({ calls }: History): Map<string, string | undefined> {
  const taken = calls.filter(({ what, status }) => what === "submit" && isTaken(status));
  return new Map(taken.map(({ key, taskId }) => [key, taskId]));
}

function isTaken(status: number): boolean {
  return status >= 200 && status < 300;
}
