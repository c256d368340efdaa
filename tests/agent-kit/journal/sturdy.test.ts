import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openDatabase } from "../../../lib/agent-kit/journal/file.ts";
import { SturdyJournal, Unwritable } from "../../../lib/agent-kit/journal/sturdy.ts";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { testFolder, until } from "../../support/agents/agent.ts";

const folder = testFolder();
const START = "019a5b1c-0000-7000-8000-00000000ffff";

/** A journal whose disk is full when `fill` is called, and has room again after `free`. */
function open() {
  const file = join(folder, `${randomUUID()}.sqlite`);
  const db = openDatabase(file);
  return {
    journal: new SturdyJournal(file, db),
    fill: () => db.exec("pragma max_page_count = 1"),
    free: () => db.exec("pragma max_page_count = 100000"),
    reopen: () => new SturdyJournal(file, openDatabase(file)),
  };
}

function request(): WorkRequestMessage {
  const payload = { task_id: randomUUID(), attempt: 1 };
  return { request_id: randomUUID(), trace_id: randomUUID(), payload } as WorkRequestMessage;
}

const MUCH = "x".repeat(20_000);
const tellStep = (journal: SturdyJournal, { request_id, payload }: WorkRequestMessage, number: number) => {
  const step = { step_number: number, action: "a", status: "running" as const, summary: MUCH.slice(0, 9_000) };
  journal.say(request_id, { type: "work_status", payload: { task_id: payload.task_id, status: "executing", step } });
};
const tellResult = (journal: SturdyJournal, { request_id, payload }: WorkRequestMessage) =>
  journal.say(request_id, { type: "work_result", payload: { task_id: payload.task_id, status: "completed" } }, "done");
const shown = (journal: SturdyJournal) =>
  journal.unsent(100).map(({ said }) => ("step" in said.payload ? said.payload.step?.step_number : "result"));

test("with a full disk all that running work says is kept and sent in order, nothing new begins, and all is written in the end", async () => {
  const { journal, fill, free, reopen } = open();
  const one = request();
  journal.begin(one, START);
  tellStep(journal, one, 1);
  journal.markSent(journal.unsent(10));
  tellStep(journal, one, 2);
  fill();
  for (let number = 3; number <= 40; number++) tellStep(journal, one, number);
  tellResult(journal, one);

  expect(journal.isWritable()).toBe(false);
  expect(() => journal.begin(request(), START)).toThrow(Unwritable);
  const numbers = Array.from({ length: 39 }, (_, at) => at + 2);
  expect(shown(journal)).toEqual(numbers);
  journal.markSent(journal.unsent(39));
  expect(shown(journal)).toEqual(["result"]);
  expect(journal.find(one.request_id)?.state).toBe("done");

  free();
  await until("it is writable again", () => journal.isWritable());
  journal.close();
  const next = reopen();
  expect(shown(next)).toEqual(["result"]);
  next.replay(one.request_id, 1);
  expect(shown(next)).toEqual([1, ...numbers]);
  expect(next.unsent(1)[0]).toMatchObject({ startId: START, requestId: one.request_id });
});

test("with a full disk cancels are remembered, ends are told again, and what was known is still known", async () => {
  const { journal, fill, free, reopen } = open();
  const [ended, running, never] = [request(), request(), request()];
  for (const each of [ended, running]) journal.begin(each, randomUUID());
  for (const number of [1, 2]) tellStep(journal, ended, number);
  tellResult(journal, ended);
  journal.markSent(journal.unsent(100));
  journal.markSent(journal.unsent(100));
  fill();
  for (let number = 1; journal.isWritable(); number++) tellStep(journal, running, number);
  journal.markSent(journal.unsent(100));

  journal.cancel("task", 2);
  const said = { task_id: never.payload.task_id, status: "cancelled" } as const;
  journal.beginAndEnd(never, START, { type: "work_status", payload: said });
  expect(journal.isCancelled("task", 2)).toBe(true);
  expect(journal.findStart(START)?.state).toBe("stopped");
  journal.markSent(journal.unsent(100));
  expect(journal.find(ended.request_id)?.state).toBe("done");
  journal.replay(ended.request_id, 3);
  expect(shown(journal)).toEqual([1, 2]);

  free();
  await until("it is writable again", () => journal.isWritable());
  journal.close();
  const next = reopen();
  expect(next.isCancelled("task", 2)).toBe(true);
  expect(next.find(ended.request_id)).toMatchObject({ state: "done", attempt: 3 });
  expect(next.findStart(START)?.state).toBe("stopped");
});

test("a disk that is full when work begins begins nothing, and the same work begins when there is room", async () => {
  const { journal, fill, free } = open();
  const one = { ...request(), x_custom_fields: { much: MUCH } };
  fill();
  expect(() => journal.begin(one, START)).toThrow(Unwritable);
  expect(journal.find(one.request_id)).toBeUndefined();

  free();
  await until("it is writable again", () => journal.isWritable());
  journal.begin(one, START);
  expect(journal.find(one.request_id)?.state).toBe("running");
});
