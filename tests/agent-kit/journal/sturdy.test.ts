import { randomUUID } from "node:crypto";
import { mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, expect, test, vi } from "vitest";
import { Unwritable } from "../../../lib/agent-kit/journal/broken.ts";
import { openDatabase } from "../../../lib/agent-kit/journal/file.ts";
import { openJournal } from "../../../lib/agent-kit/journal/open.ts";
import { SturdyJournal } from "../../../lib/agent-kit/journal/sturdy.ts";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { log } from "../../../lib/runtime/log.ts";
import { testFolder, until } from "../../support/agents/agent.ts";
import { breakReading } from "../../support/agents/unreadable.ts";

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
    /** Answers what mends it. */
    breakReading: () => breakReading(db, file),
    /** Writes nonsense over all pages but the first. */
    damage: () => {
      db.exec("pragma wal_checkpoint(truncate)");
      writeSync(openSync(file, "r+"), Buffer.alloc(200_000, "nonsense"), 0, 200_000, 4096);
      db.exec("pragma shrink_memory");
    },
    reopen: () => new SturdyJournal(file, openDatabase(file)),
  };
}

afterEach(() => void vi.restoreAllMocks());

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

test("while the disk cannot be read nothing is answered in its place, and a run that is only there ends with nothing", async () => {
  const said = vi.spyOn(log, "error").mockImplementation(() => {});
  const { journal, breakReading: fail } = open();
  const [ended, running] = [request(), request()];
  for (const each of [ended, running]) {
    journal.begin(each, randomUUID());
    tellStep(journal, each, 1);
  }
  tellResult(journal, ended);
  const mend = fail();

  expect(() => journal.find(ended.request_id)).toThrow(Unwritable);
  expect(journal.isWritable()).toBe(false);
  expect(said.mock.calls).toMatchObject([["journal not writable", { todo: expect.stringContaining("mend it") }]]);
  expect(() => journal.begin(request(), START)).toThrow(Unwritable);
  expect(() => journal.replay(ended.request_id, 2)).toThrow(Unwritable);
  expect(journal.unsent(100)).toEqual([]);
  journal.cancel("task", 1);
  expect(journal.isCancelled("task", 1)).toBe(true);
  expect(() => journal.isCancelled("other", 1)).toThrow(Unwritable);
  tellStep(journal, running, 2);
  expect(journal.isLost(running.request_id)).toBe(true);
  expect(() => tellResult(journal, running)).toThrow(Unwritable);

  mend();
  await until("it is writable again", () => journal.isWritable());
  expect(journal.find(ended.request_id)).toMatchObject({ state: "done", attempt: 1 });
  expect(shown(journal)).toEqual([1, 1]);
  expect(journal.isCancelled("task", 1)).toBe(true);
  // What it says behind a gap counts as little as before, until it begins from nothing.
  expect(() => tellResult(journal, running)).toThrow(Unwritable);
  journal.begin(running, START);
  tellResult(journal, running);
  expect(journal.find(running.request_id)?.state).toBe("done");
});

test("a look for what to send that fails is no end of sending: it goes on when the disk can be read", async () => {
  vi.spyOn(log, "error").mockImplementation(() => {});
  const { journal, breakReading: fail } = open();
  const one = request();
  journal.begin(one, START);
  tellStep(journal, one, 1);
  const mend = fail();

  expect(journal.unsent(100)).toEqual([]);
  expect(journal.isWritable()).toBe(false);
  mend();
  await until("it is writable again", () => journal.isWritable());
  expect(shown(journal)).toEqual([1]);
});

test("a file that is damaged while its agent works begins nothing any more, and the log says what to do", async () => {
  const said = vi.spyOn(log, "error").mockImplementation(() => {});
  const { journal, damage } = open();
  const one = request();
  journal.begin(one, START);
  for (let number = 1; number <= 20; number++) tellStep(journal, one, number);
  damage();

  expect(() => journal.find(one.request_id)).toThrow(Unwritable);
  expect(journal.unsent(100)).toEqual([]);
  expect(() => tellResult(journal, one)).toThrow(Unwritable);
  const todo = expect.stringMatching(/stop this agent, move .*sqlite and its -wal away, and start it again$/);
  expect(said.mock.calls).toMatchObject([["journal damaged", { todo }]]);
});

const SQLITE_OF_OTHERS =
  "create table cancels (what text); create table runs (what text); create table said (what text)";
test.each([
  ["no database", (file: string) => writeFileSync(file, "no database at all ".repeat(1000)), "file is not a database"],
  ["a database of something else", (file: string) => new DatabaseSync(file).exec(SQLITE_OF_OTHERS), "no such column"],
  ["a folder", (file: string) => mkdirSync(file), "unable to open database file"],
])("a journal that is %s at the start is named, with what to do", (_case, make, why) => {
  const name = randomUUID();
  make(join(folder, `${name}.sqlite`));

  const message = `The journal ${join(folder, name)}.sqlite cannot be opened. `;
  expect(() => openJournal(folder, name)).toThrow(message);
  expect(() => openJournal(folder, name)).toThrow(why);
  expect(() => openJournal(folder, name)).toThrow(/Mend or remove it, or name another folder: WAYBILL_AGENT_DATA=DIR$/);
});

test("a journal that is damaged at the start is named, with what to do", () => {
  const { journal, damage, reopen } = open();
  const one = request();
  journal.begin(one, START);
  for (let number = 1; number <= 20; number++) tellStep(journal, one, number);
  damage();
  journal.close();

  expect(() => reopen().interrupted()).toThrow(/cannot be opened.*Mend or remove it.*WAYBILL_AGENT_DATA=DIR$/);
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
