import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import {
  type Decision,
  decided,
  type Ending,
  ended,
  possibleFrom,
  type Status,
} from "../../../lib/work/core/lifecycle.ts";
import { findTask } from "../../../lib/work/core/task-row.ts";
import { worldOf } from "../../support/database/world.ts";
import { reply } from "../../support/http/events.ts";

/** What the rules say of one piece of work, beside the database that must agree. */
type Model = {
  taskId: string;
  status: Status;
  approved: boolean;
  attempt: number;
  used: number;
  requests: WorkRequestMessage[];
  /** Who has it. */
  agent: string;
};

const MAX_ATTEMPTS = 2;
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
      ending: Exclude<Ending, "lease_expired"> | "status";
      twice: boolean;
    }
  | { move: "fall silent"; which: number };

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
      ending: fc.constantFrom("completed", "failed", "failed_retryable", "handed_back", "handed_over", "status"),
      twice: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ move: fc.constant("fall silent" as const), which }) },
) as fc.Arbitrary<Move>;

const payloads = {
  completed: ["work_result", { status: "completed" }],
  failed: ["work_result", { status: "failed" }],
  failed_retryable: ["work_result", { status: "failed", retryable: true }],
  handed_back: ["work_status", { status: "approved" }],
  handed_over: ["work_status", { status: "approved", handover: { reason: "not mine", to_agent: "infra" } }],
  status: ["work_status", { status: "executing", step: { step_number: 1, action: "a", status: "running" } }],
} as const;

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
    { numRuns: 80 },
  );
}, 120_000);

async function play(world: ReturnType<typeof worldOf>, models: Model[], move: Move): Promise<void> {
  if (move.move === "submit") {
    if (models.length === MAX_TASKS) return;
    const taskId = await world.submit({ approval: move.required ? "required" : "auto", max_attempts: MAX_ATTEMPTS });
    const approved = !move.required;
    models.push({
      taskId,
      status: approved ? "approved" : "pending",
      approved,
      attempt: 0,
      used: 0,
      requests: [],
      agent: "code",
    });
    return;
  }
  if (move.move === "dispatch") {
    await db`update tasks set ready_at = now() where status = 'approved'`;
    world.queues.down = move.how === "lost, then swept";
    await world.dispatch();
    world.queues.down = false;
    await db`update outbox set send_after = now()`;
    await world.leftovers();
    for (const model of models.filter(({ status }) => status === "approved")) {
      model.status = "executing";
      model.attempt += 1;
      model.used += 1;
      const request = world
        .requests()
        .find(({ payload }) => payload.task_id === model.taskId && payload.attempt === model.attempt);
      if (request === undefined) throw new Error("an attempt was started and nobody was asked to do it");
      model.requests.push(request);
    }
    return;
  }
  const model = models[move.which % Math.max(1, models.length)];
  if (model === undefined) return;
  if (move.move === "fall silent") {
    await db`update tasks set lease_until = now() - interval '1 second' where task_id = ${model.taskId} and status = 'executing'`;
    await world.expire();
    if (model.status === "executing") end(model, "lease_expired");
  } else if (move.move === "say") {
    const request = model.requests.at(-1 - move.attemptBack);
    if (request === undefined) return;
    const [type, payload] = payloads[move.ending];
    const message = reply(request, type, payload);
    await world.record(...(move.twice ? [message, message] : [message]));
    const present = model.status === "executing" && request.payload.attempt === model.attempt;
    if (present && move.ending !== "status") end(model, move.ending);
    if (present && move.ending === "handed_over") model.agent = "infra";
  } else {
    const possible = possibleFrom[move.decision].includes(model.status);
    const outcome = await world.decide(move.decision, model.taskId).then(
      () => true,
      () => false,
    );
    if (outcome !== possible) throw new Error(`${move.decision} of ${model.status} work: ${outcome}`);
    if (!possible) return;
    model.status = decided(move.decision, model.approved);
    if (move.decision === "approve") model.approved = true;
    if (move.decision === "retry") model.used = 0;
  }
}

function end(model: Model, ending: Ending): void {
  if (ending === "handed_back" || ending === "handed_over") model.used -= 1;
  model.status = ended(ending, MAX_ATTEMPTS - model.used);
}

async function agrees(model: Model): Promise<void> {
  const row = await findTask(db, model.taskId);
  const { status, attempt, attemptsUsed, toAgent, approvedAt } = row ?? {};
  expect({ status, attempt, attemptsUsed, toAgent, approved: approvedAt !== null }).toEqual({
    status: model.status,
    attempt: model.attempt,
    attemptsUsed: model.used,
    toAgent: model.agent,
    approved: model.approved,
  });
}
