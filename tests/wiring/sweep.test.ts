import { DeleteQueueCommand, PurgeQueueCommand, TagQueueCommand, UntagQueueCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeEach, expect, test } from "vitest";
import { handler as getHealth } from "../../functions/system/get-health.ts";
import { handler as getWork } from "../../functions/work/get-work.ts";
import { system } from "../../lib/access/actor.ts";
import { sqsQueues } from "../../lib/runtime/aws/queues.ts";
import type { Fields, Log } from "../../lib/runtime/log.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { controlPlane } from "../../lib/wiring/control-plane.ts";
import { processEdges } from "../../lib/wiring/edges.ts";
import { readPlaneSettings } from "../../lib/wiring/settings.ts";
import { sweep } from "../../lib/wiring/sweep.ts";
import { startReady } from "../../lib/wiring/work.ts";
import { worldOf } from "../support/database/world.ts";
import { agentQueue, call, put, receive, sqs } from "../support/http/events.ts";

const db = connect();
const lines: Fields[] = [];
const write =
  (level?: string) =>
  (event: string, fields: Fields = {}) =>
    void lines.push({ event, ...(level === undefined ? {} : { level }), ...fields });
const log: Log = {
  debug: write(),
  info: write(),
  warn: write("warn"),
  error: write("error"),
  metrics: write(),
  with: () => log,
};
const plane = controlPlane({ settings: readPlaneSettings(), edges: { ...processEdges(sqsQueues(), db), log } });
const run = async () => await sweep(plane, system("test"));
const lineOf = (event: string) => lines.findLast((line) => line["event"] === event);

beforeEach(async () => {
  await db`truncate tasks cascade`;
  lines.length = 0;
  const queues = [agentQueue("code"), agentQueue("research"), plane.settings.queues.results];
  await Promise.all(queues.map((QueueUrl) => sqs.send(new PurgeQueueCommand({ QueueUrl })).catch(() => {})));
});
afterAll(async () => {
  await db.end();
});

/** Work of which nobody has taken the request, for so many minutes. */
async function asked(workType = "code.run", minutes = 2): Promise<string> {
  const id = await worldOf(db).submit({ work_type: workType });
  await run();
  await age(minutes);
  return id;
}

async function age(minutes: number): Promise<void> {
  await db`update task_attempts set requested_at = requested_at - make_interval(secs => ${minutes * 60}),
    asked_at = asked_at - make_interval(secs => ${minutes * 60})`;
}

const inQueue = async () => (await receive(agentQueue("code"))).Records.map(({ body }) => JSON.parse(body).payload);
const lose = async () => void (await sqs.send(new PurgeQueueCommand({ QueueUrl: agentQueue("code") })));

test("a request that its queue has lost is there again with the next sweep, and has cost no attempt", async () => {
  const id = await asked();
  await lose();

  expect(await run()).toMatchObject({ again: 1, expired: 0 });

  expect(await inQueue()).toMatchObject([{ task_id: id, attempt: 1 }]);
  expect(await db`select attempt, attempts_used, status from tasks`).toEqual([
    { attempt: 1, attemptsUsed: 1, status: "executing" },
  ]);
});

test("a request that was lost again is asked for after two minutes, then after four", async () => {
  await asked();
  await lose();
  await run();
  const again = [];
  for (const minutes of [1, 1.1, 2, 2.1]) {
    await lose();
    await age(minutes);
    again.push((await run()).again);
  }

  expect(again).toEqual([0, 1, 0, 1]);
});

test("a request that waits, that somebody has in hand, or whose taking may be on its way is not asked for again", async () => {
  await asked();
  const counts = [(await run()).again];
  await inQueue();
  counts.push((await run()).again);
  await lose();
  await put(plane.settings.queues.results, "what an agent says");
  counts.push((await run()).again);

  expect(counts).toEqual([0, 0, 0]);
});

test("a request in its first minute is not asked for again", async () => {
  await asked("code.run", 0.9);
  await lose();

  expect(await run()).toMatchObject({ again: 0 });
});

test("what the bridge has carried on is not lost: it waits at the broker", async () => {
  const QueueUrl = agentQueue("code");
  await sqs.send(new TagQueueCommand({ QueueUrl, Tags: { "waybill:carried-to": "rabbitmq" } }));
  await asked();
  await lose();

  expect(await run()).toMatchObject({ again: 0 });
  await sqs.send(new UntagQueueCommand({ QueueUrl, TagKeys: ["waybill:carried-to"] }));
  expect(await run()).toMatchObject({ again: 1 });
});

test("how the work stands is one line in the embedded metric format", async () => {
  await worldOf(db).submit({ work_type: "nobody.paint" });
  await asked();

  await run();

  const line = lineOf("work counted");
  const names = Object.keys(line ?? {}).filter((name) => /^[A-Z]/.test(name));
  expect(line).toEqual({
    event: "work counted",
    _aws: {
      Timestamp: expect.any(Number),
      CloudWatchMetrics: [
        {
          Namespace: "Waybill",
          Dimensions: [["service", "stage"]],
          Metrics: names.map((Name) => ({ Name, Unit: Name.endsWith("Seconds") ? "Seconds" : "Count" })),
        },
      ],
    },
    service: "waybill",
    stage: "local",
    HeldUp: 1,
    Waiting: 0,
    OldestWaitingSeconds: 0,
    OldestUntakenSeconds: expect.closeTo(120, -2),
    Undecided: 1,
    Undeliverable: 0,
    Cancelling: 0,
    Expired: 0,
    AskedAgain: 0,
  });
});

test("what the database refuses to start is an error in the log, counted, and told as not right; the others start", async () => {
  const [bad, good] = [await worldOf(db).submit({ priority: 9 }), await worldOf(db).submit()];
  await db`update tasks set attempts_used = max_attempts where task_id = ${bad}`;

  expect(await run()).toMatchObject({ started: 1 });

  const reason = expect.stringMatching(/tasks_attempts_used_range.* POST \/work\/\S+\/cancel/);
  expect(lineOf("work not started")).toMatchObject({
    level: "error",
    task_id: bad,
    trace_id: expect.any(String),
    reason,
  });
  expect(lineOf("not right")).toMatchObject({ warning: expect.stringContaining(bad) });
  expect(lineOf("work counted")).toMatchObject({ HeldUp: 1 });
  expect(await inQueue()).toMatchObject([{ task_id: good }]);
});

test("a queue that is gone is told in the work, in the health and in the metrics, with the command that mends it", async () => {
  await sqs.send(new DeleteQueueCommand({ QueueUrl: agentQueue("research") }));
  const id = await worldOf(db).submit({ work_type: "research.fetch", to_agent: "research" });
  await run();

  const { json } = await call(getWork, `/work/${id}`, { params: { task_id: id } });
  const { warnings } = (await call(getHealth, "/health")).json;

  const todo =
    /its queue \S+-agent-research does not exist\. Make it, .* aws sqs create-queue --queue-name \S+-agent-research /;
  expect(json.held_up).toMatch(/^research was not reached: /);
  expect(json.held_up).toMatch(todo);
  expect(warnings).toEqual([expect.stringMatching(/^A message to agent research cannot be delivered: /)]);
  expect(warnings[0]).toMatch(todo);
  expect(lineOf("work counted")).toMatchObject({ Undeliverable: 1, HeldUp: 1 });
});

test("a queue that is deleted after it had the request is found, and told", async () => {
  const id = await asked();
  await sqs.send(new DeleteQueueCommand({ QueueUrl: agentQueue("code") }));

  expect(await run()).toMatchObject({ again: 1 });

  const { json } = await call(getWork, `/work/${id}`, { params: { task_id: id } });
  expect(json.held_up).toContain("does not exist");
});

test("work that is held up for two reasons is counted once", async () => {
  const bad = await worldOf(db).submit();
  await db`update tasks set attempts_used = max_attempts where task_id = ${bad}`;
  await run();
  await db`update tasks set to_agent = 'without-a-queue' where task_id = ${bad}`;

  await run();

  expect(lineOf("work counted")).toMatchObject({ HeldUp: 1, Waiting: 1 });
});

test("what a step that failed would have counted is in no metric and no line, as it is not 0", async () => {
  await db.unsafe("alter table task_attempts rename lease_until to gone");
  try {
    await expect(run()).rejects.toThrow("leases");
  } finally {
    await db.unsafe("alter table task_attempts rename gone to lease_until");
  }

  const counted = lineOf("work counted");
  expect(counted).toMatchObject({ HeldUp: 0, Undecided: 0 });
  for (const name of ["Expired", "AskedAgain"]) expect(counted).not.toHaveProperty(name);
  expect(JSON.parse(JSON.stringify(lineOf("swept")))).toEqual({ event: "swept", sent: 0, decided: 0 });
});

test("what was started and set apart before a dispatch fails is in the log", async () => {
  const [bad, good] = [await worldOf(db).submit({ priority: 9 }), await worldOf(db).submit()];
  await db`update tasks set attempts_used = max_attempts where task_id = ${bad}`;
  const away = Object.assign(new Error("the outbox is away"), { code: "XX000" });
  const failing = async () => {
    throw away;
  };

  await expect(startReady({ ...plane, send: failing }, system("test"))).rejects.toThrow(away);

  expect(lineOf("work not started")).toMatchObject({ task_id: bad });
  expect(lineOf("work dispatched")).toMatchObject({ task_id: good });
});

// What breaks one step at least, and none of the last.
const BROKEN: [step: string, sql: string, mend: string][] = [
  ["leftovers", "alter table outbox rename body to gone", "alter table outbox rename gone to body"],
  ["dispatch", "alter table agent_rate rename to gone", "alter table gone rename to agent_rate"],
  ["undecided", "alter table sweep_rounds rename to gone", "alter table gone rename to sweep_rounds"],
];

test.each(BROKEN)(
  "where its step %s throws, the later ones are done, and it fails at the end",
  async (step, sql, mend) => {
    await worldOf(db).submit({ work_type: "nobody.paint" });
    await db.unsafe(sql);
    try {
      await expect(run()).rejects.toThrow(step);

      expect(lines).toContainEqual(expect.objectContaining({ event: "sweep step failed", level: "error", step }));
      expect(lineOf("work counted")).toMatchObject({ Undecided: 1 });
    } finally {
      await db.unsafe(mend);
    }
  },
);

test("before the first migration the sweep does nothing, and says why", async () => {
  await db`alter table schema_migrations rename to schema_migrations_aside`;
  try {
    expect(await run()).toEqual({ expired: 0, again: 0, sent: 0, decided: 0, started: 0 });
  } finally {
    await db`alter table schema_migrations_aside rename to schema_migrations`;
  }

  expect(lines).toEqual([expect.objectContaining({ event: "database not migrated yet", level: "warn" })]);
});
