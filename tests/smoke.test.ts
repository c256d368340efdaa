import { expect, test } from "vitest";
import { connect } from "../lib/runtime/postgres/db.ts";

test("a test file has a migrated database of its own", async () => {
  const db = connect();

  const rows = await db`select count(*)::int as tasks from tasks`;

  expect(rows).toEqual([{ tasks: 0 }]);
  await db.end();
});
