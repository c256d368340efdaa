import { afterAll, beforeAll, expect, test } from "vitest";
import { handler as listWork } from "../../../functions/work/list-work.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { TEAM } from "../../support/database/actor.ts";
import { buildTask } from "../../support/database/build.ts";
import { call } from "../../support/http/events.ts";

const db = connect();
const at = (minute: number) => new Date(Date.UTC(2026, 2, 1, 12, minute));
const names = new Map<string, string>();

beforeAll(async () => {
  const rows = [
    ["failed", "ada", "Make a Release_1"],
    ["cancelled", "bob", "make 100% of it"],
    ["completed", "ada", "release the rest"],
    ["executing", "bob", "wait"],
    ["executing", "ada", "stop"],
  ] as const;
  for (const [n, [status, created_by, request_text]] of rows.entries()) {
    names.set(await buildTask(db, { status, created_by, request_text, created_at: at(n) }), request_text);
  }
  await db`update tasks set stopping = 'cancelled' where request_text = 'stop'`;
});
afterAll(async () => {
  await db.end();
});

const list = async (query: string) => {
  const { status, json } = await call(listWork, `/work?${query}`);
  expect([status, json.detail]).toEqual([200, undefined]);
  return json.items.map(({ task_id }: { task_id: string }) => names.get(task_id));
};

test.each([
  ["status=failed,cancelled", ["make 100% of it", "Make a Release_1"]],
  ["status=failed%2Ccancelled,failed", ["make 100% of it", "Make a Release_1"]],
  ["status=executing", ["wait"]],
  ["status=cancelling,completed", ["stop", "release the rest"]],
  ["created_by=ada&sort=oldest", ["Make a Release_1", "release the rest", "stop"]],
  [
    "created_after=2026-03-01T12:01:00Z&created_before=2026-03-01T13:03:00%2B01:00",
    ["release the rest", "make 100% of it"],
  ],
  ["text=RELEASE", ["release the rest", "Make a Release_1"]],
  ["text=100%25", ["make 100% of it"]],
  ["text=e_1", ["Make a Release_1"]],
  ["text=e_r", []],
  ["text=release&created_by=ada&status=failed&sort=oldest", ["Make a Release_1"]],
])("GET /work?%s", async (query, found) => {
  expect(await list(query)).toEqual(found);
});

test.each(["newest", "oldest"])("pages of %s first have every piece of work once", async (sort) => {
  const found: string[] = [];
  let cursor = "";
  do {
    const { json } = await call(listWork, `/work?limit=2&sort=${sort}${cursor}`);
    found.push(...json.items.map(({ task_id }: { task_id: string }) => names.get(task_id)));
    cursor = json.next_cursor === null ? "" : `&cursor=${json.next_cursor}`;
  } while (cursor !== "");

  const oldest = [...names.values()];
  expect(found).toEqual(sort === "oldest" ? oldest : oldest.toReversed());
});

test("a page with text ends after 10,000 pieces of work, with where to go on", async () => {
  await db`
    insert into tasks (
      task_id, status, request_id, request_hash, trace_id, run_id, created_by, request_text, work_type, parameters, hints, priority,
      timeout_seconds, max_attempts, message_bytes, approval
    )
    select ('01ffffff-ffff-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'pending', gen_random_uuid(), '', gen_random_uuid(),
      gen_random_uuid(), 'many', 'other', 'code.run', '{}', '{}', 5, 60, 1, 100, 'auto'
    from generate_series(1, 10100) as n
  `;

  const first = await call(listWork, "/work?text=release");
  expect([first.json.items, first.json.next_cursor]).toEqual([[], "01ffffff-ffff-7000-8000-000000000065"]);
  const second = await call(listWork, `/work?text=release&cursor=${first.json.next_cursor}`);
  expect([second.json.items.length, second.json.next_cursor]).toEqual([2, null]);
  const plan = await db`explain select task_id from tasks
    where team_id = ${TEAM} and status = any('{failed,cancelled}'::task_status[])`;
  expect(plan.map((row) => row["QUERY PLAN"] ?? Object.values(row)[0]).join("\n")).toContain("tasks_status_idx");
});

test.each([
  "status=",
  "status=failed,",
  "status=gone",
  "status=failed,gone",
  "created_after=yesterday",
  "text=",
  "sort=best",
])("GET /work?%s is refused", async (query) => {
  const { status, json } = await call(listWork, `/work?${query}`);
  expect([status, json.errors[0].field]).toEqual([400, query.split("=")[0]]);
});
