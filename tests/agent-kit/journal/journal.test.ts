import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openDatabase } from "../../../lib/agent-kit/journal/file.ts";
import { openJournal } from "../../../lib/agent-kit/journal/open.ts";
import type { SturdyJournal as Journal } from "../../../lib/agent-kit/journal/sturdy.ts";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { testFolder } from "../../support/agents/agent.ts";

const folder = testFolder();
const START = "019a5b1c-0000-7000-8000-00000000ffff";

function open(name: string = randomUUID()): Journal & { reopen: () => Journal } {
  const journal = openJournal(folder, name);
  return Object.assign(journal, {
    reopen: () => {
      journal.close();
      return openJournal(folder, name);
    },
  });
}

function request(attempt = 1): WorkRequestMessage {
  const payload = { task_id: randomUUID(), attempt };
  return { request_id: randomUUID(), trace_id: randomUUID(), payload } as WorkRequestMessage;
}

function tellStep(journal: Journal, { request_id, payload }: WorkRequestMessage, number: number, status = "running") {
  const step = { step_number: number, action: `step ${number}`, status: status as "running" };
  journal.say(request_id, { type: "work_status", payload: { task_id: payload.task_id, status: "executing", step } });
}

function tellResult(journal: Journal, { request_id, payload }: WorkRequestMessage) {
  const { task_id } = payload;
  journal.say(request_id, { type: "work_result", payload: { task_id, status: "completed" } }, "done");
}

const shown = (journal: Journal) =>
  journal.unsent(10).map(({ said, attempt }) => {
    return said.type === "work_result" ? `result ${attempt}` : `step ${said.payload.step?.step_number} ${attempt}`;
  });

test("a result is given out only when all that was said before it has been sent", () => {
  const journal = open();
  const [one, other] = [request(), request()];
  journal.begin(one, START);
  journal.begin(other, START);
  tellStep(journal, one, 1);
  tellResult(journal, one);
  tellResult(journal, other);

  expect(shown(journal)).toEqual(["step 1 1", "result 1"]);
  journal.markSent(journal.unsent(1));
  expect(journal.unsent(10).map(({ requestId }) => requestId)).toEqual([one.request_id, other.request_id]);
});

test("what is being sent while it is asked for again is sent again", () => {
  const journal = open();
  const one = request();
  journal.begin(one, START);
  tellResult(journal, one);

  const onItsWay = journal.unsent(10);
  journal.replay(one.request_id, 2);
  journal.markSent(onItsWay);

  expect(shown(journal)).toEqual(["result 2"]);
  expect(journal.unsent(1)[0]?.messageId).not.toBe(onItsWay[0]?.messageId);
});

test("a message keeps its id until the queue has taken it, over a restart too", () => {
  const journal = open();
  const one = request();
  journal.begin(one, START);
  tellResult(journal, one);

  const before = journal.unsent(1)[0]?.messageId;

  expect(journal.reopen().unsent(1)[0]?.messageId).toBe(before);
});

test("runs that were cut off are found, whatever they had said, with the steps that never ended", () => {
  const journal = open();
  const [told, silent, ended] = [request(3), request(), request()];
  for (const each of [told, silent, ended]) journal.begin(each, randomUUID());
  tellStep(journal, told, 1);
  tellStep(journal, told, 1, "completed");
  tellStep(journal, told, 2);
  tellResult(journal, ended);

  const next = journal.reopen();

  expect(next.interrupted()).toEqual([
    {
      requestId: told.request_id,
      taskId: told.payload.task_id,
      attempt: 3,
      openSteps: [{ step_number: 2, action: "step 2" }],
    },
    { requestId: silent.request_id, taskId: silent.payload.task_id, attempt: 1, openSteps: [] },
  ]);
  expect(next.find(ended.request_id)).toMatchObject({ state: "done", attempt: 1 });
});

test("beginning again forgets what an earlier attempt said", () => {
  const journal = open();
  const one = request();
  journal.begin(one, START);
  tellStep(journal, one, 1);
  journal.begin({ ...one, payload: { ...one.payload, attempt: 2 } }, START);

  expect(shown(journal)).toEqual([]);
  expect(journal.find(one.request_id)).toMatchObject({ state: "running", attempt: 2 });
});

test("all that is said of a run names its start, over a restart too, and the start finds the run", () => {
  const journal = open();
  const one = request(2);
  journal.begin(one, START);
  tellStep(journal, one, 1);

  const next = journal.reopen();

  expect(next.unsent(10).map(({ startId }) => startId)).toEqual([START]);
  expect(next.findStart(START)).toEqual({ requestId: one.request_id, state: "running", attempt: 2 });
  expect(next.findStart(randomUUID())).toBeUndefined();
});

test("the last word is said again alone, under another message id", () => {
  const journal = open();
  const one = request();
  journal.begin(one, START);
  tellStep(journal, one, 1);
  tellResult(journal, one);
  journal.markSent(journal.unsent(10));
  const [result] = journal.unsent(10);
  journal.markSent(journal.unsent(10));

  journal.repeatLast(one.request_id);

  const [again, ...more] = journal.unsent(10);
  expect(more).toEqual([]);
  expect(again?.said).toEqual(result?.said);
  expect(again?.messageId).not.toBe(result?.messageId);
});

test("a journal of an earlier version opens, and its runs are told without a start", () => {
  const file = join(folder, "earlier.sqlite");
  const earlier = openDatabase(file);
  const one = request();
  earlier.exec(
    "drop index runs_start_idx; alter table runs drop column start_id; alter table runs drop column lease_token",
  );
  earlier.exec(
    `insert into runs values ('${one.request_id}', '${one.payload.task_id}', '${one.trace_id}', 1, 0, 'running', null, 1, 1)`,
  );
  earlier.close();

  const journal = openJournal(folder, "earlier");
  tellResult(journal, one);
  const other = request();
  journal.begin(other, START);
  tellResult(journal, other);

  expect(journal.unsent(10).map(({ startId }) => startId)).toEqual([undefined, START]);
});

test("a cancel counts for its attempt and those before it, whatever order cancels come in", () => {
  const journal = open();
  journal.cancel("task", 3);
  journal.cancel("task", 1);

  expect([1, 3, 4].map((attempt) => journal.isCancelled("task", attempt))).toEqual([true, true, false]);
  expect(journal.isCancelled("another", 1)).toBe(false);
});

test("what ended long ago is forgotten once it is sent; what runs or waits to be sent is not", () => {
  const journal = open();
  const [sent, unsent, running] = [request(), request(), request()];
  for (const each of [sent, unsent, running]) journal.begin(each, randomUUID());
  tellResult(journal, sent);
  journal.markSent(journal.unsent(10));
  tellResult(journal, unsent);
  journal.cancel("task", 1);

  journal.forgetBefore(Date.now() - 1000);
  expect(journal.find(sent.request_id)).toBeDefined();
  journal.forgetBefore(Date.now() + 1000);

  expect(journal.find(sent.request_id)).toBeUndefined();
  expect(journal.isCancelled("task", 1)).toBe(false);
  expect(journal.find(unsent.request_id)).toBeDefined();
  expect(journal.find(running.request_id)).toBeDefined();
});

test.each([
  ["its folder is a file", (place: string) => writeFileSync(place, ""), /ENOTDIR|EEXIST/],
  [
    "it is no database",
    (place: string) => {
      mkdirSync(place);
      writeFileSync(join(place, "x.sqlite"), "?".repeat(999));
    },
    /not a database/,
  ],
])("where %s, the error names the journal and what to do", (_case, spoil, reason) => {
  const place = join(folder, randomUUID());
  spoil(place);

  const opening = () => openJournal(place, "x");

  expect(opening).toThrow(join(place, "x.sqlite"));
  expect(opening).toThrow(reason);
  expect(opening).toThrow("WAYBILL_AGENT_DATA=DIR");
});
