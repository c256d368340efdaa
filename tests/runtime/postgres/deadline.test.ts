import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { call } from "../../support/http/events.ts";
import { startProxy } from "../../support/http/proxy.ts";

/** A function of the HTTP API whose database is behind a proxy. */

const direct = connect(process.env, undefined, {});
let proxy: Awaited<ReturnType<typeof startProxy>>;
let submitWork: unknown;

beforeAll(async () => {
  proxy = await startProxy(process.env["DATABASE_URL"] ?? "");
  vi.stubEnv("DATABASE_URL", proxy.url);
  ({ handler: submitWork } = await import("../../../functions/work/submit-work.ts"));
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await direct.end();
  await proxy.close();
});

const submit = async (remainingMs: number) =>
  await call(submitWork, "/work", { body: { request_text: "do it", work_type: "code.run" }, remainingMs });
const stored = async () => (await direct`select from tasks`).length;

test.each(["swallow", "hang up"] as const)(
  "a call whose database is gone (%s) answers 503 in the time of its function, stores nothing, and the next one is taken",
  async (how) => {
    expect((await submit(10_000)).status).toBe(201);
    const before = await stored();
    proxy.behave(how);
    if (how === "hang up") proxy.cut("rst");

    const answer = await submit(1_500);

    expect(answer).toMatchObject({
      status: 503,
      headers: { "content-type": "application/problem+json", "retry-after": "1" },
      json: { code: "unavailable", status: 503 },
    });
    expect(await stored()).toBe(before);
    proxy.behave("pass");
    await vi.waitUntil(async () => (await submit(10_000)).status === 201, { timeout: 20_000 });
    expect(await stored()).toBe(before + 1);
  },
);
