import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test } from "vitest";
import { handler as listWork } from "../../functions/work/list-work.ts";
import { handler as submitWork } from "../../functions/work/submit-work.ts";
import type { Caller, Limits } from "../../lib/access/actor.ts";
import { takeAllowance } from "../../lib/access/keys/allowance.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { TEAM } from "../support/database/actor.ts";
import { call } from "../support/http/events.ts";
import { ownerNamed } from "../support/http/owner.ts";

const db = connect();
let keyId: string;

beforeEach(async () => {
  keyId = randomUUID();
  await db`
    insert into api_keys (key_id, team_id, name, prefix, secret_hash, role, created_by)
    values (${keyId}, ${TEAM}, ${`k-${keyId}`}, ${`wb_${keyId.replaceAll("-", "").slice(0, 12)}`}, ${Buffer.alloc(32)}, 'owner', 'a test')
  `;
});
afterAll(async () => {
  await db.end();
});

const withLimits = (limits: Limits): Caller => ({ ...ownerNamed("owner"), keyId, limits });
const rate = (requestsPerSecond: number): Limits => ({ requestsPerSecond, bytesPerDay: null });
const bytes = (bytesPerDay: number): Limits => ({ requestsPerSecond: null, bytesPerDay });

test("a key that has had its requests is told so and when to try again, and fills again", async () => {
  const as = withLimits(rate(2));

  const answers = [];
  for (let n = 0; n < 3; n++) answers.push(await call(listWork, "/work", { as }));

  expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
  const [, , refused] = answers;
  expect(refused?.json).toMatchObject({
    code: "too_many_requests",
    detail: expect.stringContaining("2 requests a second"),
  });
  expect(refused?.headers).toMatchObject({
    "retry-after": "1",
    ratelimit: '"requests";r=0;t=1',
    "ratelimit-policy": '"requests";q=2;w=1',
  });
  await db`update api_key_use set counted_at = counted_at - interval '600 ms' where key_id = ${keyId}`;
  expect((await call(listWork, "/work", { as })).status).toBe(200);
  expect((await call(listWork, "/work", { as })).status).toBe(429);
});

test("a rate of less than one a second lets one go at once, and the next when its time has come", async () => {
  const caller = withLimits(rate(0.1));

  await takeAllowance(db, caller, 0);

  await expect(takeAllowance(db, caller, 0)).rejects.toMatchObject({ status: 429, headers: { "retry-after": "10" } });
});

test("calls that are refused for other reasons count as well, and many at once count exactly", async () => {
  const as = withLimits(rate(5));

  const lost = await Promise.all(
    Array.from({ length: 20 }, async () => await call(submitWork, "/work", { as, body: { request_text: "" } })),
  );

  expect(lost.filter(({ status }) => status === 400)).toHaveLength(5);
  expect(lost.filter(({ status }) => status === 429)).toHaveLength(15);
});

test("the bytes of a day are those of its bodies, and the next day has its own", async () => {
  const caller = withLimits(bytes(1_000));
  await takeAllowance(db, caller, 600);

  await expect(takeAllowance(db, caller, 401)).rejects.toMatchObject({ status: 429, code: "too_many_bytes" });
  await takeAllowance(db, caller, 400);
  const refused = await takeAllowance(db, caller, 1).catch((error: unknown) => error);
  expect(refused).toMatchObject({ headers: { ratelimit: expect.stringMatching(/^"bytes";r=0;t=\d+$/) } });
  await db`update api_key_use set day = day - 1 where key_id = ${keyId}`;
  await takeAllowance(db, caller, 1_000);
});

test("more than a day's bytes in one body is refused though nothing was sent before", async () => {
  await expect(takeAllowance(db, withLimits(bytes(10)), 11)).rejects.toMatchObject({ status: 429 });
});

test("a key without limits is not counted", async () => {
  await takeAllowance(db, { ...ownerNamed("owner"), keyId }, 1_000_000);

  expect(await db`select from api_key_use where key_id = ${keyId}`).toEqual([]);
});
