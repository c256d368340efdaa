import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { findTask } from "../../../lib/work/core/task-row.ts";
import { readOutput } from "../../../lib/work/reading/output.ts";
import { showWork } from "../../../lib/work/reading/show-work.ts";
import { ACTOR } from "../../support/database/actor.ts";
import { worldOf } from "../../support/database/world.ts";
import { reply } from "../../support/http/events.ts";

const db = connect();

beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

/** Work that is dispatched, and what its agent may say of it. */
async function dispatched(more: Parameters<ReturnType<typeof worldOf>["submit"]>[0] = {}, env = {}) {
  const world = worldOf(db, env);
  const taskId = await world.submit(more);
  await world.dispatch();
  return { world, taskId, ...about(world, taskId) };
}

function about(world: ReturnType<typeof worldOf>, taskId: string) {
  const requests = () => world.requests().filter(({ payload }) => payload.task_id === taskId);
  const latest = () => requests().at(-1) as WorkRequestMessage;
  return {
    requests,
    latest,
    task: async (): Promise<Record<string, unknown>> => (await findTask(db, ACTOR, taskId)) ?? {},
    attempts: async () => await db`select * from task_attempts where task_id = ${taskId} order by attempt`,
    says: (payload: object, request = latest()) => reply(request, "work_status", { status: "executing", ...payload }),
    ends: (payload: object, request = latest()) => reply(request, "work_result", { status: "completed", ...payload }),
    orders: () =>
      world.sent
        .map(({ body }) => JSON.parse(body) as { type: string; payload: Record<string, unknown> })
        .filter(({ type, payload }) => type === "work_status" && payload["task_id"] === taskId)
        .map(({ payload }) => payload),
    shown: async () =>
      await showWork(db, ACTOR, {
        taskId,
        waitMs: 0,
        findHandovers: async () => [],
        countHandovers: async () => 0,
        findQueueUrls: async () => new Map(),
        queues: ["code", "infra", "research"],
      }),
  };
}

const start = (start_id = randomUUID()) => ({ start_id, process: "a laptop:1" });

async function nextAttempt(world: ReturnType<typeof worldOf>) {
  await db`update tasks set ready_at = now() where status = 'approved'`;
  await world.dispatch();
}

describe("three waits", () => {
  test("a request that nobody takes costs no attempt, however often it is lost, and is asked for again", async () => {
    const { world, task, attempts, requests, ends } = await dispatched({ max_attempts: 1 });

    for (let n = 1; n <= 5; n++) {
      await world.silence();
      expect(await world.expire()).toEqual({ retried: 0, failed: 0, again: 1 });
      expect(requests()).toHaveLength(n + 1);
    }
    expect(await task()).toMatchObject({ status: "executing", attempt: 1, attemptsUsed: 1 });
    expect(new Set(requests().map(({ payload, request_id }) => `${request_id} ${payload.attempt}`)).size).toBe(1);
    expect(await attempts()).toMatchObject([{ requests: 6, takenAt: null, how: null }]);
    await world.record(ends({}));
    expect(await task()).toMatchObject({ status: "completed", attemptsUsed: 1 });
  });

  test("it is asked for again later and later, at most every hour", async () => {
    const { world } = await dispatched({}, { PICKUP_SECONDS: "900" });
    const waits: number[] = [];
    for (let n = 0; n < 4; n++) {
      await world.silence();
      await world.expire();
      const [row] = await db<{ wait: number }[]>`
        select round(extract(epoch from lease_until - now()))::int as wait from task_attempts
      `;
      waits.push(row?.wait ?? 0);
    }
    expect(waits).toEqual([1800, 3600, 3600, 3600]);
  });

  test("work that is held says so, is renewed, and costs nothing when its process dies before it begins", async () => {
    const { world, task, attempts, says, shown } = await dispatched({ max_attempts: 1 });
    const first = start();

    await world.record(says({ status: "held", ...first }));
    expect(await attempts()).toMatchObject([{ startId: first.start_id, process: "a laptop:1", startedAt: null }]);
    expect((await shown()).held_up).toMatch(/process a laptop:1 has it/);
    expect(await task()).toMatchObject({ startedAt: null });
    await world.silence();

    expect(await world.expire()).toEqual({ retried: 0, failed: 0, again: 1 });
    expect(await attempts()).toMatchObject([{ startId: null, takenAt: null, how: null }]);
    await world.record(says(start()));
    expect(await task()).toMatchObject({ status: "executing", attempt: 1, attemptsUsed: 1 });
  });

  test("one that waits too long is announced as held up", async () => {
    const { shown } = await dispatched();
    expect((await shown()).held_up).toBeNull();

    await db`update task_attempts set requested_at = now() - interval '3 minutes'`;

    expect((await shown()).held_up).toMatch(/^code was asked once since .*no process of it has taken the work/);
  });

  test("only a running attempt that falls silent costs one: it is asked twice, then over", async () => {
    const { world, task, attempts, says, orders } = await dispatched({ max_attempts: 1 });
    const first = start();
    await world.record(says(first));

    await world.silence();
    expect(await world.expire()).toEqual({ retried: 0, failed: 0, again: 0 });
    expect(orders()).toMatchObject([{ attempt: 1, status: "executing", start_id: first.start_id }]);
    await world.silence();
    expect(await world.expire()).toEqual({ retried: 0, failed: 0, again: 0 });
    expect(orders()).toHaveLength(2);
    expect(await task()).toMatchObject({ status: "executing" });
    await world.silence();
    expect(await world.expire()).toEqual({ retried: 0, failed: 1, again: 0 });

    expect(await attempts()).toMatchObject([{ how: "lease_expired", reason: (await task())["errorMessage"] }]);
    expect(orders().at(-1)).toMatchObject({ attempt: 1, status: "cancelled", start_id: first.start_id });
  });

  test("an answer to the question saves the attempt, and the next silence is asked again", async () => {
    const { world, task, says, orders } = await dispatched({ max_attempts: 1 });
    const first = start();
    await world.record(says(first));
    for (let n = 1; n <= 3; n++) {
      await world.silence();
      await world.expire();
      expect(orders()).toHaveLength(n);
      await world.record(says(first));
    }
    expect(await task()).toMatchObject({ status: "executing", attempt: 1 });
  });
});

describe("a late fact", () => {
  async function silent(more: object = {}) {
    const work = await dispatched(more);
    const request = work.latest();
    await work.world.record(work.says({}, request));
    await work.world.silence();
    await work.world.expire();
    return { ...work, request };
  }

  test("a completed result after the last lease completes the work", async () => {
    const { world, task, attempts, ends, request, shown } = await silent({ max_attempts: 1 });
    expect(await task()).toMatchObject({ status: "failed", endedBy: null });

    const { stale } = await world.record(ends({ exit_code: 0, metrics: { a: 1 } }, request));

    expect(stale).toEqual([]);
    expect(await task()).toMatchObject({
      status: "completed",
      endedBy: 1,
      errorMessage: null,
      actualResources: { a: 1 },
    });
    expect(await attempts()).toMatchObject([{ how: "completed" }]);
    expect((await shown()).attempts).toMatchObject([{ how: "completed", metrics: { a: 1 }, lease_until: null }]);
  });

  test("in the pause before the next attempt it completes the work, and nothing is asked again", async () => {
    const { world, task, ends, request, requests } = await silent({ max_attempts: 3 });
    expect(await task()).toMatchObject({ status: "approved" });

    await world.record(ends({}, request));
    await nextAttempt(world);

    expect(await task()).toMatchObject({ status: "completed", attempt: 1 });
    expect(requests()).toHaveLength(1);
  });

  test("a sign of life in the pause goes on with the attempt instead of beginning another", async () => {
    const { world, task, attempts, says, ends, request, requests } = await silent({ max_attempts: 2 });

    await world.record(says({}, request));
    await nextAttempt(world);

    expect(await task()).toMatchObject({ status: "executing", attempt: 1, attemptsUsed: 1 });
    expect(requests()).toHaveLength(1);
    await world.record(ends({}, request));
    expect(await attempts()).toMatchObject([{ attempt: 1, how: "completed" }]);
  });

  test("while a later attempt is under way it completes the work; the later one is told to stop, and both are shown", async () => {
    const { world, taskId, task, attempts, says, ends, latest, request, orders } = await silent({ max_attempts: 3 });
    await nextAttempt(world);
    const second = latest();
    const later = start();
    const piece = (text: string) => ({
      step: { step_number: 1, action: "a", status: "running", output: { chunk_number: 0, text } },
    });
    await world.record(says({ ...piece("of the second"), ...later }, second));

    await world.record(says(piece("of the first"), request), ends({}, request));

    expect(await task()).toMatchObject({ status: "completed", attempt: 2, endedBy: 1 });
    expect(orders().at(-1)).toMatchObject({ attempt: 2, status: "cancelled", start_id: later.start_id });
    const { bytes } = await readOutput(db, ACTOR, { taskId, maxBytes: 1000 });
    expect(bytes.toString()).toBe("of the first");
    // It ran to its end in spite of it.
    const { stale } = await world.record(ends({ metrics: { late: true }, ...later }, second));
    expect(stale.map(({ why }) => why)).toEqual(["the work is completed"]);
    expect(await attempts()).toMatchObject([{ how: "completed" }, { how: "completed", metrics: { late: true } }]);
    expect(await task()).toMatchObject({ status: "completed", endedBy: 1 });
  });

  test("a late failure stands instead of silence, and takes nothing from a later attempt", async () => {
    const { world, task, attempts, says, ends, latest, request } = await silent({ max_attempts: 2 });
    await nextAttempt(world);
    await world.record(says({ status: "held" }, latest()));

    await world.record(ends({ status: "failed", error_message: "R1", exit_code: 75 }, request));

    expect(await task()).toMatchObject({ status: "executing", attempt: 2 });
    await world.record(ends({}, latest()));
    expect(await task()).toMatchObject({ status: "completed", endedBy: 2 });
    expect(await attempts()).toMatchObject([{ how: "failed", reason: "R1", exitCode: 75 }, { how: "completed" }]);
  });

  test("a late failure for good ends the work while nobody has the next attempt, which is withdrawn", async () => {
    const { world, task, attempts, ends, request, orders } = await silent({ max_attempts: 3 });
    await nextAttempt(world);

    await world.record(ends({ status: "failed", error_message: "refused for good" }, request));

    expect(await task()).toMatchObject({
      status: "failed",
      errorMessage: "refused for good",
      endedBy: 1,
      attemptsUsed: 1,
    });
    expect(await attempts()).toMatchObject([{ how: "failed" }, { how: "withdrawn", counted: false }]);
    expect(orders()).toMatchObject([{ status: "cancelled", attempt: 2 }]);
  });

  test("a late handover is carried out while nobody has the next attempt, and neither is paid for", async () => {
    const { world, task, attempts, says, request, latest } = await silent({ max_attempts: 3 });
    await nextAttempt(world);

    await world.record(says({ status: "approved", handover: { reason: "not mine", to_agent: "infra" } }, request));

    expect(await task()).toMatchObject({ status: "approved", toAgent: "infra", attemptsUsed: 0 });
    expect(await attempts()).toMatchObject([{ how: "handed_over", counted: false }, { how: "withdrawn" }]);
    await nextAttempt(world);
    expect(latest()).toMatchObject({ to_agent: "infra", payload: { handover: { reason: "not mine" } } });
  });

  test("a late completion also completes work that was handed over to nobody meanwhile", async () => {
    const { world, task, says, ends, request } = await silent({ max_attempts: 3 });
    await nextAttempt(world);
    const handover = { reason: "not mine", capabilities: ["what nobody can"] };
    await world.record(says({ status: "approved", handover }));
    expect(await task()).toMatchObject({ status: "pending", toAgent: null });

    await world.record(ends({}, request));

    expect(await task()).toMatchObject({ status: "completed", toAgent: "code", endedBy: 1, approvedBy: "policy" });
  });

  test("a late reason replaces that of silence", async () => {
    const { world, task, ends, request } = await silent({ max_attempts: 1 });

    await world.record(ends({ status: "failed", error_message: "no disk", retryable: true }, request));

    expect(await task()).toMatchObject({ status: "failed", errorMessage: "no disk", endedBy: 1 });
  });

  test("what a person has decided meanwhile stands, and what was done in spite of it is shown", async () => {
    const { world, taskId, task, attempts, ends, request } = await silent({ max_attempts: 1 });
    await world.decide("retry", taskId);

    await world.record(ends({}, request));

    expect((await task())["runId"]).not.toBe(request.request_id);
    expect(await task()).toMatchObject({ status: "approved" });
    expect(await attempts()).toMatchObject([{ how: "completed" }]);
  });
});

test("no reason is lost: every attempt keeps its own, with its exit code and metrics", async () => {
  const { world, task, shown, ends, says, latest } = await dispatched({ max_attempts: 3 });
  await world.record(
    ends({ status: "failed", retryable: true, error_message: "R1", exit_code: 75, metrics: { of: 1 } }),
  );
  await nextAttempt(world);
  await world.record(says({ status: "approved", message: "R2" }));
  await nextAttempt(world);
  await world.record(reply(latest(), "error", { error_code: 5001, error_message: "R3" }));
  await nextAttempt(world);
  await world.record(ends({}));

  expect((await shown()).attempts).toMatchObject([
    { attempt: 1, how: "failed_retryable", reason: "R1", exit_code: 75, metrics: { of: 1 } },
    { attempt: 2, how: "handed_back", reason: "R2" },
    { attempt: 3, how: "failed_retryable", reason: "R3 (error 5001)" },
    { attempt: 4, how: "completed", reason: null },
  ]);
  expect(await task()).toMatchObject({ status: "completed", actualResources: null });
});

describe("handing back", () => {
  test("has a pause that grows, costs no attempt, and an end that is told", async () => {
    const { world, task, says } = await dispatched({ max_attempts: 1 });
    const pauses: number[] = [];
    for (let n = 0; n < 20; n++) {
      await world.record(says({ status: "approved", message: "not today" }));
      expect(await task()).toMatchObject({ status: "approved", attemptsUsed: 0 });
      const [row] = await db<{ pause: number }[]>`
        select extract(epoch from ready_at - clock_timestamp())::float8 as pause from tasks
      `;
      pauses.push(row?.pause ?? 0);
      await nextAttempt(world);
    }
    await world.record(says({ status: "approved", message: "not today" }));

    expect(pauses[0]).toBeLessThan(0.5);
    expect(pauses[5]).toBeGreaterThan(4);
    expect(pauses[19]).toBeGreaterThan(140);
    expect((await task())["errorMessage"]).toBe(
      "handed back undone 21 times in a row by agent code. It last said: not today",
    );
  });

  test("is counted anew once the work has run", async () => {
    const { world, task, says, ends } = await dispatched({ max_attempts: 3 });
    for (let n = 0; n < 5; n++) {
      await world.record(says({ status: "approved" }));
      await nextAttempt(world);
    }
    await world.record(ends({ status: "failed", retryable: true, error_message: "ran" }));
    await nextAttempt(world);
    await world.record(says({ status: "approved" }));

    expect(await task()).toMatchObject({ status: "approved" });
    expect(await db`select handed_back from tasks`).toEqual([{ handedBack: 1 }]);
  });

  test("is counted anew by whoever has worked on it for longer than the longest pause", async () => {
    const { world, says } = await dispatched();
    for (let n = 0; n < 3; n++) {
      await world.record(says({ status: "approved" }));
      await nextAttempt(world);
    }
    const long = start();
    await world.record(says(long));
    await db`update task_attempts set started_at = now() - interval '301 seconds' where start_id = ${long.start_id}`;

    await world.record(says({ status: "approved", ...long }));

    expect(await db`select handed_back from tasks`).toEqual([{ handedBack: 1 }]);
  });
});

test("given back after silence had failed the work, it is not paid for, and the reason says so", async () => {
  const { world, task, attempts, says, ends } = await dispatched({ max_attempts: 1 });
  const first = start();
  await world.record(says(first));
  for (let n = 0; n < 4; n++) {
    await world.silence();
    await world.expire();
  }

  await world.record(says({ status: "approved", ...first }));

  const told = expect.stringMatching(/^agent code had fallen silent, and has given it back undone since; retry/);
  expect(await task()).toMatchObject({ status: "failed", errorMessage: told, attemptsUsed: 0, endedBy: null });
  expect(await attempts()).toMatchObject([{ how: "handed_back", counted: false }]);
  await world.record(ends(start()));
  expect(await task()).toMatchObject({ status: "completed" });
});

describe("stopping", () => {
  test("running work that is cancelled is cancelling until its agent confirms", async () => {
    const { world, taskId, task, attempts, says, orders } = await dispatched();
    const first = start();
    await world.record(says(first));

    expect(await world.decide("cancel", taskId)).toMatchObject({ status: "cancelling", completedAt: null });
    expect(orders()).toMatchObject([{ attempt: 1, status: "cancelled", start_id: first.start_id }]);
    await world.record(says(first));
    expect(await task()).toMatchObject({ status: "cancelling" });
    await world.record(says({ status: "cancelled", ...first }));

    expect(await task()).toMatchObject({ status: "cancelled" });
    expect(await attempts()).toMatchObject([{ how: "cancelled" }]);
  });

  test("cancelling twice is cancelling, and it ends by silence too", async () => {
    const { world, taskId, task, attempts, says } = await dispatched();
    await world.record(says(start()));
    await world.decide("cancel", taskId);
    expect(await world.decide("cancel", taskId)).toMatchObject({ status: "cancelling" });

    await world.silence();
    await world.expire();

    expect(await task()).toMatchObject({ status: "cancelled" });
    expect(await attempts()).toMatchObject([
      { how: "lease_expired", reason: expect.stringMatching(/never confirmed/) },
    ]);
  });

  test("an attempt that silence had ended keeps that reason when its stop is not confirmed either", async () => {
    const { world, taskId, attempts, says } = await dispatched({ max_attempts: 2 });
    await world.record(says(start()));
    for (let n = 0; n < 3; n++) {
      await world.silence();
      await world.expire();
    }
    await world.decide("cancel", taskId);
    await world.silence();
    await world.expire();

    const reason = expect.stringMatching(/^agent code fell silent.*; then it was told to stop and never confirmed it$/);
    expect(await attempts()).toMatchObject([{ how: "lease_expired", reason }]);
  });

  test("work that nobody has taken is cancelled at once, and whoever takes it all the same is told", async () => {
    const { world, taskId, task, attempts, says, ends, orders } = await dispatched();
    expect(await world.decide("cancel", taskId)).toMatchObject({ status: "cancelled" });
    expect(orders()).toEqual([{ task_id: taskId, attempt: 1, status: "cancelled" }]);
    const late = start();
    await db`update task_attempts set told_to_stop_at = now() - interval '1 minute'`;

    await world.record(says(late));

    expect(orders().at(-1)).toMatchObject({ status: "cancelled", start_id: late.start_id });
    await world.record(ends(late));
    expect(await task()).toMatchObject({ status: "cancelled", endedBy: null });
    expect(await attempts()).toMatchObject([{ how: "completed" }]);
  });

  test("between attempts a cancel reaches the process that may still be at it", async () => {
    const { world, taskId, task, says, orders } = await dispatched();
    const first = start();
    await world.record(says(first));
    for (let n = 0; n < 3; n++) {
      await world.silence();
      await world.expire();
    }
    expect(await task()).toMatchObject({ status: "approved" });

    expect(await world.decide("cancel", taskId)).toMatchObject({ status: "cancelling" });
    expect(orders().at(-1)).toMatchObject({ attempt: 1, status: "cancelled", start_id: first.start_id });
    await world.record(says({ status: "cancelled", ...first }));
    expect(await task()).toMatchObject({ status: "cancelled" });
  });

  test("a handover waits until the agent before has stopped", async () => {
    const { world, taskId, task, says, requests } = await dispatched();
    const first = start();
    await world.record(says(first));
    await world.handOver(taskId, { by: "ada", reason: "yours", to_agent: "infra" });
    expect(await task()).toMatchObject({ status: "cancelling", toAgent: "infra" });
    await nextAttempt(world);
    expect(requests()).toHaveLength(1);

    await world.record(says({ status: "cancelled", ...first }));
    await nextAttempt(world);

    expect(requests().map(({ to_agent }) => to_agent)).toEqual(["code", "infra"]);
  });

  test("what a handover has ended is given back once, whatever its process says later", async () => {
    const { world, taskId, task, says, ends, requests, latest } = await dispatched({ max_attempts: 1 });
    await world.record(says({}));
    await world.handOver(taskId, { by: "ada", reason: "yours", to_agent: "infra" });
    await world.silence();
    await world.expire();
    await nextAttempt(world);
    expect(await task()).toMatchObject({ status: "executing", toAgent: "infra", attemptsUsed: 1 });

    await world.record(says({ status: "approved" }, requests()[0]));
    await world.record(ends({ status: "failed", retryable: true, error_message: "no" }, latest()));

    expect(await task()).toMatchObject({ status: "failed", attemptsUsed: 1 });
  });

  test("work that its agent completes before a handover has reached it is not done again", async () => {
    const { world, taskId, task, says, ends } = await dispatched();
    const first = start();
    await world.record(says(first));
    await world.handOver(taskId, { by: "ada", reason: "yours", to_agent: "infra" });

    await world.record(ends(first));

    expect(await task()).toMatchObject({ status: "completed", toAgent: "code", endedBy: 1 });
  });

  test("a retry waits for a process that was thought silent", async () => {
    const { world, taskId, task, says, requests } = await dispatched({ max_attempts: 1 });
    await world.record(says({}));
    await world.silence();
    await world.expire();
    expect(await task()).toMatchObject({ status: "failed" });

    expect(await world.decide("retry", taskId)).toMatchObject({ status: "cancelling" });
    await world.record(says({ status: "cancelled" }, requests()[0]));
    expect(await task()).toMatchObject({ status: "approved" });

    await nextAttempt(world);
    expect(requests().map(({ payload }) => payload.attempt)).toEqual([1, 2]);
  });
});

describe("two processes with one request", () => {
  const piece = (text: string) => ({
    step: { step_number: 1, action: "a", status: "running", output: { chunk_number: 0, text } },
  });

  test("what they tell is never mixed, and the work is what the one that ends it did", async () => {
    const { world, taskId, task, attempts, says, ends } = await dispatched({ max_attempts: 1 });
    const [first, second] = [start(), start()];

    await world.record(says({ ...piece("killed half-w"), ...first }));
    await world.record(says({ ...piece("whole"), ...second }));
    await world.record(ends(second));

    expect(await task()).toMatchObject({ status: "completed", attemptsUsed: 1, attempt: 2, endedBy: 2 });
    expect((await readOutput(db, ACTOR, { taskId, maxBytes: 1000 })).bytes.toString()).toBe("whole");
    expect((await readOutput(db, ACTOR, { taskId, attempt: 1, maxBytes: 1000 })).bytes.toString()).toBe(
      "killed half-w",
    );
    expect(await attempts()).toMatchObject([
      { startId: first.start_id, counted: true },
      { startId: second.start_id, counted: false, how: "completed" },
    ]);
  });

  test("when the first is dead the second goes on, at no further cost", async () => {
    const { world, task, attempts, says, ends } = await dispatched({ max_attempts: 1 });
    const [first, second] = [start(), start()];
    await world.record(says(first), says(second));
    for (let n = 0; n < 3; n++) {
      await db`update task_attempts set lease_until = now() - interval '1 second' where start_id = ${first.start_id}`;
      await world.expire();
    }

    expect(await task()).toMatchObject({ status: "executing", attemptsUsed: 1 });
    expect(await attempts()).toMatchObject([{ how: "lease_expired" }, { how: null }]);
    await world.record(ends(second));
    expect(await task()).toMatchObject({ status: "completed" });
  });

  test("where one has failed for good, the silence of the other is no reason to try again", async () => {
    const { world, task, says, ends } = await dispatched({ max_attempts: 3 });
    const [first, second] = [start(), start()];
    await world.record(says(first), says(second));
    await world.record(ends({ status: "failed", error_message: "refused for good", ...first }));
    expect(await task()).toMatchObject({ status: "executing" });

    for (let n = 0; n < 3; n++) {
      await world.silence();
      await world.expire();
    }

    expect(await task()).toMatchObject({ status: "failed", errorMessage: "refused for good" });
  });

  test("a failure for good stands for its own stretch of work alone, and against no completion", async () => {
    const { world, taskId, task, says, ends, orders } = await dispatched({ max_attempts: 3 });
    const [first, second] = [start(), start()];
    await world.record(says(first), says(second));
    await world.record(ends({ status: "failed", error_message: "refused for good", ...first }));
    await world.handOver(taskId, { by: "ada", reason: "yours", to_agent: "infra" });
    await world.record(says({ status: "cancelled", ...second }));
    await nextAttempt(world);
    await world.record(says(start()));

    for (let n = 0; n < 3; n++) {
      await world.silence();
      await world.expire();
    }
    expect(await task()).toMatchObject({ status: "approved", toAgent: "infra", attemptsUsed: 2 });

    const [third, fourth] = [start(), start()];
    await nextAttempt(world);
    await world.record(says(third), says(fourth));
    await world.record(ends({ status: "failed", error_message: "infra refuses", ...fourth }));
    for (let n = 0; n < 3; n++) {
      await world.silence();
      await world.expire();
    }
    expect(await task()).toMatchObject({ status: "failed", errorMessage: "infra refuses" });
    expect(orders().at(-1)).toMatchObject({ status: "cancelled", start_id: third.start_id });
    await world.record(ends(third));
    expect(await task()).toMatchObject({ status: "completed" });
  });

  const ended = { status: "failed", retryable: true, error_message: "its process ended" };
  test.each([
    ["for good", 3, { status: "failed", error_message: "refused" }, false],
    ["for the last time", 1, ended, false],
    ["and is to be tried again", 2, ended, false],
    ["and is being tried again", 2, ended, true],
  ])(
    "where one has failed %s before a word of the other came, the completion of the other counts",
    async (_how, max_attempts, failed, isAskedAgain) => {
      const { world, taskId, task, attempts, says, ends, requests } = await dispatched({ max_attempts });
      const [first, second] = [start(), start()];
      const request = requests()[0];
      await world.record(says(first));
      await world.record(ends({ ...failed, ...first }));
      if (isAskedAgain) await nextAttempt(world);

      const { stale } = await world.record(says({ ...piece("whole"), ...second }, request));
      await world.record(ends(second, request));
      await world.record(says({ ...piece("whole"), ...second }, request));

      expect(stale).toHaveLength(1);
      expect(await task()).toMatchObject({ status: "completed", errorMessage: null });
      expect((await readOutput(db, ACTOR, { taskId, maxBytes: 1000 })).bytes.toString()).toBe("whole");
      const last = { startId: second.start_id, counted: false, how: "completed" };
      expect((await attempts()).at(-1)).toMatchObject(last);
    },
  );

  describe("the last attempt of the work, which one of them has failed", () => {
    const failed = { status: "failed", retryable: true, error_message: "its process ended" };

    test.each(["approved", "cancelled"])("is not begun again where the other says %s", async (status) => {
      const { world, task, attempts, says, ends } = await dispatched({ max_attempts: 1 });
      const [first, second] = [start(), start()];
      await world.record(says(first), says(second));
      await world.record(ends({ ...failed, ...first }));

      await world.record(says({ status, ...second }));

      const told = { status: "failed", errorMessage: "its process ended", attemptsUsed: 1, endedBy: 1 };
      expect(await task()).toMatchObject(told);
      expect((await attempts()).map(({ how, counted }) => [how, counted])).toEqual([
        ["failed_retryable", true],
        [status === "approved" ? "handed_back" : "cancelled", false],
      ]);
    });

    test.each(["its agent", "a person"])("leaves another agent one where %s hands the work over", async (who) => {
      const { world, taskId, task, says, ends } = await dispatched({ max_attempts: 1 });
      const [first, second] = [start(), start()];
      await world.record(says(first), says(second));
      await world.record(ends({ ...failed, ...first }));

      const handover = { reason: "yours", to_agent: "infra" };
      if (who === "its agent") await world.record(says({ status: "approved", handover, ...second }));
      else {
        await world.handOver(taskId, { by: "ada", ...handover });
        await world.record(says({ status: "cancelled", ...second }));
      }

      expect(await task()).toMatchObject({ status: "approved", toAgent: "infra", attemptsUsed: 0 });
      await world.dispatch();
      expect(await task()).toMatchObject({ status: "executing", attemptsUsed: 1 });
    });
  });

  test("one whose silence was followed by the failure of the other completes the work all the same", async () => {
    const { world, task, says, ends } = await dispatched({ max_attempts: 1 });
    const [first, second] = [start(), start()];
    await world.record(says(first), says(second));
    for (let n = 0; n < 4; n++) {
      await world.silence();
      await world.expire();
    }
    expect(await task()).toMatchObject({ status: "failed", endedBy: null });

    await world.record(ends({ status: "failed", retryable: true, error_message: "its process ended", ...first }));
    expect(await task()).toMatchObject({ status: "failed", errorMessage: "its process ended", endedBy: 1 });
    await world.record(ends(second));

    expect(await task()).toMatchObject({ status: "completed", endedBy: 2 });
  });

  test("held by two that were not heard for a while, the request asked for again is of the one that lives", async () => {
    const { world, task, attempts, says, ends, requests, orders } = await dispatched();
    const [first, second] = [start(), start()];
    const request = requests()[0];
    await world.record(says({ status: "held", ...first }), says({ status: "held", ...second }));
    await world.silence();
    await world.expire();
    expect(await attempts()).toMatchObject([{ how: "withdrawn" }, { how: null, takenAt: null, requests: 1 }]);

    const { stale } = await world.record(says(second, request));
    await world.record(ends(second, request));

    expect(stale).toEqual([]);
    expect(orders().filter(({ start_id }) => start_id === second.start_id)).toEqual([]);
    expect(await task()).toMatchObject({ status: "completed", endedBy: 2, attemptsUsed: 1 });
    expect((await attempts()).map(({ counted }) => counted)).toEqual([false, true]);
  });

  test("what is asked for again is not given to a process of the agent that had the work before", async () => {
    const { world, taskId, attempts, says, requests, orders } = await dispatched({ max_attempts: 2 });
    const request = requests()[0];
    await world.record(says(start()));
    for (let n = 0; n < 3; n++) {
      await world.silence();
      await world.expire();
    }
    await db`update task_attempts set heard_at = now() - interval '1 hour', ended_at = now() - interval '1 hour'`;
    await world.handOver(taskId, { by: "ada", reason: "yours", to_agent: "infra" });
    await world.dispatch();
    const stray = start();

    const { stale } = await world.record(says(stray, request));

    expect(stale.map(({ why }) => why)).toEqual([expect.stringMatching(/not wanted any more/)]);
    expect(orders().at(-1)).toMatchObject({ status: "cancelled", start_id: stray.start_id });
    expect((await attempts()).at(-1)).toMatchObject({ agent: "infra", startId: null });
  });

  test.each(["failed", "silent"])(
    "begun by the second once the first was withdrawn, it costs an attempt: %s",
    async (how) => {
      const { world, task, says, ends } = await dispatched({ max_attempts: 1 });
      const [first, second] = [start(), start()];
      await world.record(says({ status: "held", ...first }), says({ status: "held", ...second }));
      await db`update task_attempts set lease_until = now() - interval '1 second' where start_id = ${first.start_id}`;
      await world.expire();

      await world.record(says(second));
      if (how === "failed")
        await world.record(ends({ status: "failed", retryable: true, error_message: "no", ...second }));
      else
        for (let n = 0; n < 3; n++) {
          await world.silence();
          await world.expire();
        }

      expect(await task()).toMatchObject({ status: "failed", attemptsUsed: 1 });
    },
  );

  test("what was withdrawn is not paid for, though its process speaks late", async () => {
    const { world, task, attempts, says, ends } = await dispatched({ max_attempts: 2 });
    const [first, second] = [start(), start()];
    await world.record(says({ status: "held", ...first }), says({ status: "held", ...second }));
    await db`update task_attempts set lease_until = now() - interval '1 second' where start_id = ${second.start_id}`;
    await world.expire();

    await world.record(says(second));
    await world.record(says(first));
    await world.record(says({ status: "approved", ...second }));

    expect((await attempts()).map(({ counted }) => counted)).toEqual([true, false]);
    await world.record(ends({ status: "failed", retryable: true, error_message: "no", ...first }));
    expect(await task()).toMatchObject({ status: "approved", attemptsUsed: 1 });
  });

  test("a failure for good is what the work came to, with all that it told, whatever the other says after it", async () => {
    const { world, task, says, ends } = await dispatched({ max_attempts: 3 });
    const [first, second] = [start(), start()];
    const reason = "refused ".repeat(100);
    const metrics = { steps: 2 };
    await world.record(says(first), says(second));
    await world.record(ends({ status: "failed", error_message: reason, exit_code: 7, metrics, ...first }));
    for (let n = 0; n < 3; n++) {
      await world.silence();
      await world.expire();
    }
    await world.record(says({ status: "approved", ...second }));

    const told = { status: "failed", errorMessage: reason, endedBy: 1, exitCode: 7, actualResources: metrics };
    expect(await task()).toMatchObject(told);
  });

  test("asked for again once one of them has been stopped, it has the next number, which that one takes", async () => {
    const { world, task, says, ends, latest } = await dispatched({ max_attempts: 1 });
    const [first, second] = [start(), start()];
    await world.record(says({ status: "held", ...first }), says({ status: "held", ...second }));
    await db`update task_attempts set lease_until = now() - interval '1 second' where start_id = ${second.start_id}`;
    await world.expire();
    await world.record(says({ status: "cancelled", ...second }));
    await world.silence();
    await world.expire();

    expect(await task()).toMatchObject({ status: "approved", attemptsUsed: 0 });
    await nextAttempt(world);
    expect(latest().payload.attempt).toBe(3);
    await world.record(ends(start()));
    expect(await task()).toMatchObject({ status: "completed", attemptsUsed: 1 });
  });

  test("the one that begins it pays for it, not the one that waits with it and is never heard of again", async () => {
    const { world, task, attempts, says, ends } = await dispatched({ max_attempts: 1 });
    const [first, second] = [start(), start()];
    await world.record(says({ status: "held", ...first }));
    await world.record(says(second));
    await world.record(ends(second));
    for (let n = 0; n < 2; n++) {
      await world.silence();
      await world.expire();
    }

    expect(await task()).toMatchObject({ status: "completed", attemptsUsed: 1 });
    expect((await attempts()).map(({ how, counted }) => [how, counted])).toEqual([
      ["withdrawn", false],
      ["completed", true],
    ]);
  });

  test("a request that nobody took is not paid for when the attempt before goes on", async () => {
    const { world, task, attempts, says, ends, requests } = await dispatched({ max_attempts: 2 });
    const first = start();
    await world.record(says(first));
    for (let n = 0; n < 3; n++) {
      await world.silence();
      await world.expire();
    }
    await nextAttempt(world);
    await world.record(says(first, requests()[0]));
    await db`update task_attempts set lease_until = now() - interval '1 second' where attempt = 2`;
    await world.expire();

    expect(await attempts()).toMatchObject([{ how: null }, { how: "withdrawn", counted: false }]);
    await world.record(ends({ status: "failed", retryable: true, error_message: "no", ...first }, requests()[0]));
    expect(await task()).toMatchObject({ status: "approved", attemptsUsed: 1 });
  });

  test("starts that nobody asked for are bounded, and what goes beyond is logged", async () => {
    const { world, task, attempts, says, ends } = await dispatched();
    const first = start();
    await world.record(says(first));

    const { stale } = await world.record(...Array.from({ length: 60 }, () => says(start())));

    expect(stale).toHaveLength(10);
    expect(stale[0]?.why).toMatch(/have begun the work/);
    expect(await attempts()).toHaveLength(51);
    await world.record(ends(first));
    expect(await task()).toMatchObject({ attemptsUsed: 1 });
  });

  test("when the first is alive the second is told to stop", async () => {
    const { world, task, says, ends, orders } = await dispatched();
    const [first, second] = [start(), start()];
    await world.record(says(first), says(second));
    await world.record(says(first));
    expect(orders()).toEqual([]);
    await db`update task_attempts set taken_at = now() - interval '40 seconds' where start_id = ${second.start_id}`;

    await world.record(says(first));

    expect(orders()).toMatchObject([{ status: "cancelled", attempt: 2, start_id: second.start_id }]);
    await world.record(says({ status: "cancelled", ...second }), ends(first));
    expect(await task()).toMatchObject({ status: "completed", endedBy: 1 });
  });

  test("a request of an attempt that is over is not begun again", async () => {
    const { world, task, says, ends, requests, orders } = await dispatched({ max_attempts: 2 });
    await world.record(ends({ status: "failed", retryable: true, error_message: "no", ...start() }));
    await nextAttempt(world);
    const stray = start();

    const { stale } = await world.record(says(stray, requests()[0]));

    expect(stale.map(({ why }) => why)).toEqual([expect.stringMatching(/not wanted any more/)]);
    expect(orders()).toMatchObject([{ status: "cancelled", attempt: 1, start_id: stray.start_id }]);
    expect(await task()).toMatchObject({ status: "executing", attempt: 2 });
  });

  test("what a process that is told to stop says again from its journal is not answered by more stops", async () => {
    const { world, says, ends, orders } = await dispatched();
    await world.record(ends(start()));
    const stray = start();
    const journal = [
      says({ ...piece("done"), ...stray }),
      says({ role: { name: "reviewer" }, ...stray }),
      ends({ ...stray }),
    ];

    // Its run had ended by the time that the stop came, which it answers with all that it has said.
    await world.record(says(stray), ...journal);
    const told = orders().length;
    for (let n = 0; n < told; n++) await world.record(...journal);

    expect(orders()).toMatchObject([{ status: "cancelled", start_id: stray.start_id }]);
  });
});
