import { readdirSync, readFileSync } from "node:fs";
import { DeleteQueueCommand } from "@aws-sdk/client-sqs";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { agentQueue, call, put, sqs } from "../../support/http/events.ts";
import { startProxy } from "../../support/http/proxy.ts";

const db = connect();
const direct = process.env["DATABASE_URL"] ?? "";
let proxy: Awaited<ReturnType<typeof startProxy>>;
let handler: unknown;

beforeAll(async () => {
  proxy = await startProxy(direct);
  process.env["DATABASE_URL"] = proxy.url;
  vi.resetModules();
  handler = (await import("../../../functions/system/get-health.ts")).handler;
  process.env["DATABASE_URL"] = direct;
});
afterEach(() => proxy.behave("pass"));
afterAll(async () => {
  await db.end();
  await proxy.close();
});

const health = () => call(handler, "/health");

test("a deployment that is whole is ok, with the time that every part took", async () => {
  await put(process.env["RESULTS_QUEUE_URL"] ?? "", "a message");

  const { status, json } = await health();

  expect(status).toBe(200);
  expect(json).toMatchObject({
    status: "ok",
    database: { status: "ok", latency_ms: expect.any(Number) },
    queues: { work: { status: "ok", waiting: 0 }, results: { status: "ok", waiting: 1, in_flight: 0 } },
    migrations: { status: "ok", pending: [] },
  });
  expect(Object.keys(json.queues)).toEqual([
    "work",
    "results",
    "agent.infra",
    "agent.desktop",
    "agent.code",
    "agent.research",
  ]);
});

test("the migrations that it expects are those of the folder", async () => {
  const folder = readdirSync("migrations").filter((file) => file.endsWith(".up.sql"));
  const names = folder.map((file) => file.replace(".up.sql", "")).toSorted();

  expect(JSON.parse(readFileSync("migrations/names.json", "utf8"))).toEqual(names);
  expect((await health()).json.migrations).toMatchObject({ applied: names.at(-1), expected: names.at(-1) });
});

test("a migration that is not applied is named; one that only the database has is fine", async () => {
  const [last] = await db`
    delete from schema_migrations where name = (select max(name) from schema_migrations)
    returning name, checksum, duration_ms
  `;
  await db`insert into schema_migrations (name, checksum, duration_ms) values ('9999_of_tomorrow', '', 0)`;

  const behind = await health();
  await db`insert into schema_migrations ${db(last ?? {})}`;
  const ahead = await health();

  expect(behind.status).toBe(503);
  expect(behind.json).toMatchObject({
    status: "failing",
    database: { status: "ok" },
    migrations: { pending: [last?.["name"]] },
  });
  expect([ahead.status, ahead.json.migrations.applied]).toEqual([200, "9999_of_tomorrow"]);
  await db`delete from schema_migrations where name = '9999_of_tomorrow'`;
});

test.each(["hang up", "swallow"] as const)(
  "a database whose connections %s is failing, by a code, in time",
  async (how) => {
    expect((await health()).status).toBe(200);
    proxy.behave(how);
    if (how === "hang up") proxy.cut("fin");

    const started = performance.now();
    const { status, json } = await health();

    expect(status).toBe(503);
    expect(json).toMatchObject({
      status: "failing",
      database: { status: "failing", error: expect.stringMatching(/^\w+$/) },
    });
    expect(json.migrations).toEqual({ status: "failing", applied: null, expected: expect.any(String), pending: [] });
    expect(json.queues.work.status).toBe("ok");
    expect(performance.now() - started).toBeLessThan(9_000);
    proxy.behave("pass");
    await vi.waitUntil(async () => (await health()).status === 200, { timeout: 20_000 });
  },
);

test("a database that takes no writes is failing, before and after its sessions know it, and well again after", async () => {
  const name = new URL(direct).pathname.slice(1);
  await health();
  const alter = async (how: string) =>
    await db.begin("read write", async (tx) => await tx.unsafe(`alter database "${name}" ${how}`));
  await alter("set default_transaction_read_only = on");
  const answers = [await health(), await health()];
  await alter("reset default_transaction_read_only");

  expect(answers.map(({ status, json }) => [status, json.status, json.database.error])).toEqual([
    [503, "failing", "read_only"],
    [503, "failing", "read_only"],
  ]);
  expect((await health()).status).toBe(200);
});

test("a queue that is not there is failing by its code, and names no address", async () => {
  await sqs.send(new DeleteQueueCommand({ QueueUrl: agentQueue("research") }));

  const { status, json, text } = await health();

  expect(status).toBe(503);
  expect(json.queues["agent.research"]).toMatchObject({ status: "failing", error: expect.any(String) });
  expect(text).not.toContain("http:");
});
