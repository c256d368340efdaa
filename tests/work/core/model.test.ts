import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { expire } from "../../../lib/work/attempts/expire.ts";
import { hear } from "../../../lib/work/attempts/hear.ts";
import { halt, stop } from "../../../lib/work/attempts/stop.ts";
import { type Attempt, close, openOf, rest, type Work } from "../../../lib/work/attempts/work.ts";
import { type Decision, decided, type Ending, possibleFrom, type Status } from "../../../lib/work/core/lifecycle.ts";
import { findTask } from "../../../lib/work/core/task-row.ts";
import { wordOf } from "../../../lib/work/results/outcome.ts";
import { ACTOR } from "../../support/database/actor.ts";
import { worldOf } from "../../support/database/world.ts";
import { reply } from "../../support/http/events.ts";
import * as simulation from "../attempts/simulation.ts";

/** What the rules of lib/work/attempts say of one piece of work, beside the database that must agree. */
type Model = { taskId: string; approved: boolean; world: simulation.World; work: Work; requests: WorkRequestMessage[] };

const { MAX_ATTEMPTS } = simulation;
/** Few, so that much happens to each. */
const MAX_TASKS = 3;
const db = connect();

afterAll(async () => {
  await db.end();
});

type Move =
  | { move: "submit"; required: boolean }
  | { move: "decide"; decision: Decision; which: number }
  | { move: "dispatch"; how: "sent" | "lost, then swept" }
  | {
      move: "say";
      which: number;
      attemptBack: number;
      ending: Exclude<Ending, "lease_expired" | "withdrawn"> | "status" | "held";
      twice: boolean;
    }
  | { move: "fall silent"; which: number };

const payloads = {
  completed: ["work_result", { status: "completed" }],
  failed: ["work_result", { status: "failed" }],
  failed_retryable: ["work_result", { status: "failed", retryable: true }],
  handed_back: ["work_status", { status: "approved" }],
  handed_over: ["work_status", { status: "approved", handover: { reason: "not mine", to_agent: "infra" } }],
  cancelled: ["work_status", { status: "cancelled" }],
  held: ["work_status", { status: "held" }],
  status: ["work_status", { status: "executing", step: { step_number: 1, action: "a", status: "running" } }],
} as const;

const which = fc.nat({ max: MAX_TASKS - 1 });
const moves = fc.oneof(
  { weight: 3, arbitrary: fc.record({ move: fc.constant("submit" as const), required: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      move: fc.constant("decide" as const),
      decision: fc.constantFrom<Decision>("approve", "reject", "cancel", "retry"),
      which,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ move: fc.constant("dispatch" as const), how: fc.constantFrom("sent", "lost, then swept") }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      move: fc.constant("say" as const),
      which,
      attemptBack: fc.constantFrom(0, 0, 1),
      ending: fc.constantFrom(...(Object.keys(payloads) as (keyof typeof payloads)[])),
      twice: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ move: fc.constant("fall silent" as const), which }) },
) as fc.Arbitrary<Move>;

test("whatever people, agents, queues and sweeps do in whatever order, the database says what the rules say", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(moves, { minLength: 30, maxLength: 60 }), async (sequence) => {
      await db`truncate tasks, agent_transformation_events cascade`;
      const world = worldOf(db, { AGENT_IN_FLIGHT: "100" });
      const models: Model[] = [];
      for (const move of sequence) {
        await play(world, models, move);
        for (const model of models) await agrees(model);
      }
      // I6: no committed request is missing and none was sent that no attempt stands behind.
      const sentFor = world.requests().map(({ payload }) => `${payload.task_id} ${payload.attempt}`);
      const started = models.flatMap(({ requests }) =>
        requests.map(({ payload }) => `${payload.task_id} ${payload.attempt}`),
      );
      expect(new Set(sentFor)).toEqual(new Set(started));
    }),
    { numRuns: 40 },
  );
}, 300_000);

async function play(world: ReturnType<typeof worldOf>, models: Model[], move: Move): Promise<void> {
  for (const one of models) one.world.seconds = Date.now() / 1000;
  if (move.move === "submit") {
    if (models.length === MAX_TASKS) return;
    const taskId = await world.submit({ approval: move.required ? "required" : "auto", max_attempts: MAX_ATTEMPTS });
    const row = await findTask(db, ACTOR, taskId);
    const model = { taskId, approved: !move.required, world: simulation.newWorld(), requests: [] };
    if (move.required) Object.assign(model.world.work, { status: "pending", readyAt: null });
    model.world.work.runId = row?.runId ?? "";
    models.push({ ...model, work: model.world.work });
    return;
  }
  if (move.move === "dispatch") return await dispatch(world, models, move.how);
  const model = models[move.which % Math.max(1, models.length)];
  if (model === undefined) return;
  const { work } = model;
  if (move.move === "fall silent") {
    const past = new Date(Date.now() - 1000);
    await db`update tasks set lease_until = ${past} where task_id = ${model.taskId} and status = 'executing'`;
    await db`update task_attempts set lease_until = ${past} where task_id = ${model.taskId} and how is null`;
    await world.expire();
    for (const attempt of openOf(work)) attempt.leaseUntil = past;
    expire(work, clock());
  } else if (move.move === "say") {
    const request = model.requests.at(-1 - move.attemptBack);
    if (request === undefined) return;
    const [type, payload] = payloads[move.ending];
    const message = reply(request, type, payload);
    await world.record(...(move.twice ? [message, message] : [message]));
    const word = wordOf(message);
    if (word === undefined) throw new Error("no word of an agent");
    for (let times = move.twice ? 2 : 1; times > 0; times--) {
      const heard = hear(work, word, clock());
      if (heard.ended === "handed_over" && heard.attempt?.how === null) handOver(work, heard.attempt);
    }
  } else await decide(world, model, move.decision);
}

const clock = () => ({ now: new Date(), dice: () => 0, leaseSeconds: 60, pickupSeconds: 900 });

async function dispatch(
  world: ReturnType<typeof worldOf>,
  models: Model[],
  how: "sent" | "lost, then swept",
): Promise<void> {
  await db`update tasks set ready_at = now() where status = 'approved'`;
  world.queues.down = how === "lost, then swept";
  await world.dispatch();
  world.queues.down = false;
  await db`update outbox set send_after = now()`;
  await world.leftovers();
  for (const model of models.filter(({ work }) => work.status === "approved")) {
    model.work.readyAt = new Date(0);
    simulation.dispatch(model.world);
    const { agent, attempt } = model.work.attempts.at(-1) as Attempt;
    (model.work.attempts.at(-1) as Attempt).agent = model.work.toAgent ?? agent;
    const request = world
      .requests()
      .find(({ payload }) => payload.task_id === model.taskId && payload.attempt === attempt);
    if (request === undefined) throw new Error("an attempt was started and nobody was asked to do it");
    model.requests.push(request);
  }
}

/** To infra, as the message names it; the attempt does not count. */
function handOver(work: Work, attempt: Attempt): void {
  const { now } = clock();
  close(attempt, "handed_over", now);
  halt(work, "handed over", { now });
  rest(work, "approved", now);
  Object.assign(work, { toAgent: "infra", readyAt: now, attemptsUsed: Math.max(0, work.attemptsUsed - 1) });
}

async function decide(world: ReturnType<typeof worldOf>, model: Model, decision: Decision): Promise<void> {
  const { work } = model;
  const possible = possibleFrom[decision].includes(statusOf(work));
  const row = await world.decide(decision, model.taskId).catch(() => undefined);
  if ((row !== undefined) !== possible) throw new Error(`${decision} of ${statusOf(work)} work: ${row !== undefined}`);
  if (row === undefined) return;
  const after = decided(decision, model.approved);
  if (decision === "retry") {
    const anew = { runId: row.runId, attemptsUsed: 0, handedBack: 0, endedBy: null, exitCode: null, completedAt: null };
    const ready = after === "approved" ? new Date() : null;
    Object.assign(work, { ...anew, errorMessage: null, status: after, readyAt: ready, startedAt: null });
    if (after === "approved") stop(work, "approved", "retried", clock());
  } else if (decision === "cancel") stop(work, "cancelled", "cancelled", clock());
  else rest(work, after as "approved" | "rejected", new Date());
  if (decision === "approve") {
    model.approved = true;
    work.readyAt = new Date();
  }
}

const statusOf = ({ status, stopping }: Work): Status => (stopping === null ? status : "cancelling");

async function agrees({ taskId, work, approved }: Model): Promise<void> {
  const row = await findTask(db, ACTOR, taskId);
  const { status, attempt, attemptsUsed, toAgent, approvedAt } = row ?? {};
  const attempts = await db`select attempt, agent, how from task_attempts where task_id = ${taskId} order by attempt`;
  expect({ status, attempt, attemptsUsed, toAgent, approved: approvedAt !== null, attempts: [...attempts] }).toEqual({
    status: statusOf(work),
    attempt: work.attempt,
    attemptsUsed: work.attemptsUsed,
    toAgent: work.toAgent,
    approved,
    attempts: work.attempts.map(({ attempt: number, agent, how }) => ({ attempt: number, agent, how })),
  });
}
