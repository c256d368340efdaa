import { afterAll, expect, test } from "vitest";
import { backoff } from "../../../lib/backoff.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { BACKOFF, backoffSql } from "../../../lib/work/core/backoff.ts";

const db = connect();
afterAll(async () => {
  await db.end();
});

test.each([0, 0.25, 0.5, 1])("in Postgres a wait is what lib/backoff.ts says, with the dice at %d", async (dice) => {
  const rows = await db<{ used: number; seconds: number }[]>`
    select attempts_used as used, ${backoffSql(db, db`${dice}::float8`)} as seconds
    from generate_series(0, 100) as tasks (attempts_used)
  `;

  expect(rows).toHaveLength(101);
  for (const { used, seconds } of rows) expect(seconds).toBeCloseTo(backoff(used - 1, BACKOFF, 0.5, dice), 9);
});

test("the waits are 2, 4, 8 seconds and so on to 300, each with a throw of its own that takes at most half", async () => {
  const waits = await db<{ longest: number; shortest: number; throws: number }[]>`
    select round(max(wait)) as longest, round(min(wait)) as shortest, count(distinct wait)::int as throws
    from (
      select attempts_used, ${backoffSql(db)} as wait
      from generate_series(1, 9) as tasks (attempts_used), generate_series(1, 2000)
    ) as thrown
    where attempts_used in (1, 2, 3, 9) group by attempts_used order by attempts_used
  `;

  expect(waits.map(({ longest }) => longest)).toEqual([2, 4, 8, 300]);
  expect(waits.map(({ shortest }) => shortest)).toEqual([1, 2, 4, 150]);
  for (const { throws } of waits) expect(throws).toBeGreaterThan(1000);
});
