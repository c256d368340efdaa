import { afterAll, expect, test } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { BACKOFF, backoff } from "../../../lib/work/core/backoff.ts";

const db = connect();
afterAll(async () => {
  await db.end();
});

test("backoff doubles from its base to its maximum and loses at most half of it to jitter", async () => {
  const rows = await db<{ used: number; seconds: number }[]>`
    select attempts_used as used, ${backoff(db)} as seconds
    from generate_series(0, 100) as tasks (attempts_used), generate_series(1, 30)
  `;

  expect(rows).toHaveLength(101 * 30);
  for (const { used, seconds } of rows) {
    const full = Math.min(BACKOFF.most, BACKOFF.first * 2 ** Math.max(0, used - 1));
    expect(seconds).toBeLessThanOrEqual(full);
    expect(seconds).toBeGreaterThan(full / 2 - 1e-9);
  }
});

test("the waits are 2, 4, 8 seconds and so on to 300, each with a throw of its own", async () => {
  const longest = await db<{ seconds: number; throws: number }[]>`
    select round(max(${backoff(db)})) as seconds, count(distinct ${backoff(db)})::int as throws
    from generate_series(1, 9) as tasks (attempts_used), generate_series(1, 2000)
    where attempts_used in (1, 2, 3, 9) group by attempts_used order by attempts_used
  `;

  expect(longest.map(({ seconds }) => seconds)).toEqual([2, 4, 8, 300]);
  for (const { throws } of longest) expect(throws).toBeGreaterThan(1000);
});
