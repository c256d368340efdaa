import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { call, receive } from "../../support/http/events.ts";

vi.stubEnv("APPROVAL_REQUIRED", "code.deploy, infra.*");
vi.stubEnv("DATABASE_POOL_MAX", "10");
const { handler: submitWork } = await import("../../../functions/work/submit-work.ts");
const { handler: listWork } = await import("../../../functions/work/list-work.ts");

const db = connect();
const work = { request_text: "say hello", work_type: "code.run", parameters: { command: "echo", args: ["hi"] } };
const submit = (body: unknown, headers: Record<string, string> = {}) => call(submitWork, "/work", { body, headers });
const route = (body: unknown) => call(submitWork, "/route", { body });

beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

async function stored(): Promise<number> {
  const [row] = await db<{ count: number }[]>`select count(*)::int as count from tasks`;
  return row?.count ?? 0;
}

test("work is kept with its defaults, its place is named and the dispatcher is woken", async () => {
  const created = await submit(work);

  expect(created.status).toBe(201);
  expect(created.headers["location"]).toBe(`/work/${created.json.task_id}`);
  expect(created.json).toMatchObject({
    ...work,
    status: "approved",
    approved_by: "policy",
    to_agent: "code",
    priority: 5,
    max_attempts: 3,
    attempt: 0,
    created_by: "owner",
  });
  const { Records } = await receive(process.env["WORK_QUEUE_URL"] ?? "");
  expect(Records.map(({ body }) => JSON.parse(body).payload.task_id)).toEqual([created.json.task_id]);
});

test("twenty equal submits at once make one task, and nineteen of them say that it was there", async () => {
  const request_id = randomUUID();

  const answers = await Promise.all(Array.from({ length: 20 }, () => submit({ ...work, request_id })));

  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(19);
  expect(new Set(answers.map(({ json }) => json.task_id)).size).toBe(1);
  expect(answers.filter(({ headers }) => headers["idempotent-replayed"] === "true")).toHaveLength(19);
  expect(await stored()).toBe(1);
});

test("a repeat answers with the work as it is now, whichever way the key is sent and however its JSON is ordered", async () => {
  const key = randomUUID();
  const first = await submit({ ...work, request_id: key });
  await db`update tasks set priority = 7`;
  const reordered = {
    priority: 5,
    parameters: { args: ["hi"], command: "echo" },
    work_type: "code.run",
    request_text: "say hello",
  };

  const again = await submit(reordered, { "idempotency-key": key.toUpperCase() });

  expect([again.status, again.json.task_id, again.json.priority]).toEqual([200, first.json.task_id, 7]);
});

test("any printable text is an idempotency key", async () => {
  const first = await submit(work, { "idempotency-key": "order-4711/retry" });
  const again = await submit(work, { "idempotency-key": "order-4711/retry" });
  const other = await submit(work, { "idempotency-key": "order-4712" });

  expect([first.status, again.status, other.status]).toEqual([201, 200, 201]);
  expect((await submit(work, { "idempotency-key": "with space" })).status).toBe(400);
});

test("the same key with other content is a conflict and changes nothing", async () => {
  const request_id = randomUUID();
  await submit({ ...work, request_id });

  const other = await submit({ ...work, request_id, parameters: { command: "rm" } });

  expect([other.status, other.json.code]).toEqual([409, "idempotency_conflict"]);
  expect(await stored()).toBe(1);
});

test("equal content is equal however its time is spelt, and another time is other content", async () => {
  const key = { "idempotency-key": randomUUID() };
  const at = async (not_before: string) => (await submit({ ...work, not_before }, key)).status;

  expect(await at("2099-01-01T00:00:00Z")).toBe(201);
  for (const same of ["2099-01-01T00:00:00.000Z", "2099-01-01T00:00:00+00:00", "2099-01-01T02:00:00.0+02:00"]) {
    expect([same, await at(same)]).toEqual([same, 200]);
  }
  for (const other of ["2099-01-01T00:00:00.001Z", "2099-01-01T00:00:00+01:00"]) {
    expect([other, await at(other)]).toEqual([other, 409]);
  }
});

test.each(["00.123456Z", "00.1234561Z", "00.1239999Z", "59.9999999Z"])(
  "the time that was answered for %s is the same content when it is sent again",
  async (seconds) => {
    const key = { "idempotency-key": randomUUID() };
    const not_before = `2099-01-01T00:00:${seconds}`;
    const first = await submit({ ...work, not_before }, key);
    const again = await submit({ ...work, not_before: first.json.not_before }, key);

    expect([first.status, again.status, again.json.task_id]).toEqual([201, 200, first.json.task_id]);
    expect(first.json.not_before).toBe(`${not_before.slice(0, 23)}Z`);
    expect((await submit({ ...work, not_before }, key)).status).toBe(200);
  },
);

test("text is counted by character, as the document says", async () => {
  const emoji = (count: number) => "😀".repeat(count);
  const fits = { request_text: emoji(10_000), hints: { concurrency_key: emoji(200) } };

  expect((await submit({ ...work, ...fits })).status).toBe(201);
  for (const over of [
    { created_by: emoji(201) },
    { request_text: emoji(10_001) },
    { hints: { concurrency_key: emoji(201) } },
  ]) {
    expect((await submit({ ...work, ...over })).status).toBe(400);
  }
});

test.each([
  [{ files: 5 }, "hints.files", "must be a string or a list"],
  [{ files: ["a.ts", 5] }, "hints.files.1", "must be a string, not a number"],
  [{ capabilities: { calendar: true } }, "hints.capabilities", "must be a string or a list"],
  [{ environment: true }, "hints.environment", "must be a string or a list"],
  [{ language: 3 }, "hints.language", "must be a string or a list"],
  [{ project: 3 }, "hints.project", "must be a string or a list"],
  [{ parent_task_id: "that one" }, "hints.parent_task_id", "must be a UUID, or be left out"],
  [{ concurrency_key: 7 }, "hints.concurrency_key", "must be a text of 1 to 200 characters"],
  [{ privacy: "local_only" }, "hints.privacy", 'must be "local-only", or be left out'],
])("a hint that we read is of its kind or refused: %j", async (hints, field, message) => {
  for (const answer of [await submit({ ...work, hints }), await route({ request_text: "x", hints })]) {
    expect(answer.status).toBe(400);
    expect(answer.json.errors).toEqual([{ field, message: expect.stringContaining(message) }]);
  }
});

test("hints are kept as they came: of their kind, null, or the agent's own", async () => {
  const hints = {
    files: ["a.ts", ""],
    capabilities: "x",
    language: null,
    parent_task_id: randomUUID().toUpperCase(),
    concurrency_key: null,
    privacy: "local-only",
    colour: { red: [1, 2.5, null] },
  };

  const answer = await submit({ ...work, hints });

  expect([answer.status, answer.json.hints]).toEqual([201, hints]);
});

test.each(["00000000-0000-0000-0000-000000000000", "FFFFFFFF-ffff-ffff-ffff-ffffffffffff"])(
  "%s is what a program sends that has made no key, and is refused as one",
  async (nobodys) => {
    const asField = await submit({ ...work, request_id: nobodys });
    const asHeader = await submit(work, { "idempotency-key": nobodys });

    expect(asField.json.errors).toMatchObject([
      { field: "request_id", message: expect.stringContaining("not the nil") },
    ]);
    expect(asHeader.json.errors).toMatchObject([
      { field: "idempotency-key", message: expect.stringContaining("not the nil") },
    ]);
  },
);

test("two headers Idempotency-Key, which API Gateway joins by a comma, are refused", async () => {
  const answer = await submit(work, { "idempotency-key": "one,other" });

  expect(answer.status).toBe(400);
  expect(answer.json.errors).toMatchObject([
    { field: "idempotency-key", message: expect.stringContaining("two headers") },
  ]);
});

test("a header and a body that name different keys are refused, equal ones are not", async () => {
  const request_id = randomUUID();

  expect((await submit({ ...work, request_id }, { "idempotency-key": randomUUID() })).status).toBe(400);
  expect((await submit({ ...work, request_id }, { "idempotency-key": request_id })).status).toBe(201);
});

test("work that asks for approval, or whose type a policy names, waits for a person", async () => {
  const asked = await submit({ ...work, approval: "required" });
  const named = await submit({ ...work, work_type: "code.deploy", approval: "auto" });
  const prefixed = await submit({ ...work, work_type: "infra.check" });

  for (const { json } of [asked, named, prefixed]) {
    expect(json).toMatchObject({ status: "pending", approved_by: null, approved_at: null });
  }
});

test("an agent that does not exist is refused, naming the agents", async () => {
  const agent = await submit({ ...work, to_agent: "chef" });
  const self = await submit({ ...work, to_agent: "orchestrator" });

  expect(agent.json).toMatchObject({ code: "invalid_input", errors: [{ field: "to_agent" }] });
  expect(agent.json.errors[0].message).toContain("code, desktop, infra, research");
  expect(self.status).toBe(400);
  expect(await stored()).toBe(0);
  expect((await submit({ ...work, work_type: "cooking.bake", to_agent: "research" })).status).toBe(201);
});

test("work that no queue could carry is refused before it is kept", async () => {
  const large = await submit({ ...work, parameters: { text: "x".repeat(1_047_000) } });
  const inflated = await submit({ ...work, parameters: { text: "\uFFFE".repeat(200_000) } });
  const fits = await submit({ ...work, parameters: { text: "x".repeat(1_040_000) } });

  expect([large.status, large.json.code]).toEqual([413, "work_too_large"]);
  expect(inflated.json.code).toBe("work_too_large");
  expect(fits.status).toBe(201);
  expect(await stored()).toBe(1);
});

test.each([
  ["a missing text", { work_type: "code.run" }, "request_text"],
  ["a blank text", { ...work, request_text: "  " }, "request_text"],
  ["an unknown field", { ...work, colour: "red" }, "colour"],
  ["a wrong type", { ...work, priority: "high" }, "priority"],
  ["a priority out of range", { ...work, priority: 10 }, "priority"],
  ["a bad UUID", { ...work, project_id: "42" }, "project_id"],
  ["a time without a zone", { ...work, not_before: "2030-01-01T00:00:00" }, "not_before"],
  ["parameters that are a list", { ...work, parameters: [1] }, "parameters"],
  ["a NUL character", { ...work, parameters: { a: { b: "x\u0000" } } }, "parameters.a.b"],
  ["half a surrogate pair", { ...work, request_text: "\ud800" }, "request_text"],
])("%s is refused by its field's name and nothing is kept", async (_what, body, field) => {
  const refused = await submit(body);

  expect(refused.status).toBe(400);
  expect(refused.headers["content-type"]).toBe("application/problem+json");
  expect(refused.json.errors.map((error: { field: string }) => error.field)).toContain(field);
  expect(await stored()).toBe(0);
});

test("a list goes from the newest to the oldest, page by page, while work keeps coming", async () => {
  for (let n = 0; n < 7; n++) await submit({ ...work, request_text: `work ${n}` });
  const page = async (cursor?: string) =>
    (await call(listWork, `/work?limit=3${cursor === undefined ? "" : `&cursor=${cursor}`}`)).json;

  const first = await page();
  await submit({ ...work, request_text: "work 7" });
  const second = await page(first.next_cursor);
  const third = await page(second.next_cursor);

  const texts = [first, second, third].flatMap(({ items }) => items.map((item: any) => item.request_text));
  expect(texts).toEqual(["work 6", "work 5", "work 4", "work 3", "work 2", "work 1", "work 0"]);
  expect(third.next_cursor).toBeNull();
});

test("a list is narrowed by status, type, agent and project", async () => {
  const project_id = randomUUID();
  await submit({ ...work, project_id });
  await submit({ ...work, to_agent: "research" });
  await submit({ ...work, approval: "required" });
  const count = async (query: string) => (await call(listWork, `/work?${query}`)).json.items.length;

  expect(await count(`project_id=${project_id}`)).toBe(1);
  expect(await count("agent=research")).toBe(1);
  expect(await count("status=pending")).toBe(1);
  expect(await count("work_type=code.run&status=approved")).toBe(2);
  expect(await count("work_type=none")).toBe(0);
  for (const limit of ["0", "101", "0x5", "1e1", "1.0", "+5", "%205", "", "-1", "five"]) {
    const { status, json } = await call(listWork, `/work?limit=${limit}`);
    expect([limit, status, json.errors?.map(({ field }: { field: string }) => field)]).toEqual([limit, 400, ["limit"]]);
  }
  expect((await call(listWork, "/work?limit=100")).status).toBe(200);
  expect((await call(listWork, "/work?cursor=abc")).status).toBe(400);
  expect((await call(listWork, "/work?staus=pending")).status).toBe(400);
});
