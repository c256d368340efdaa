import { readdirSync, readFileSync } from "node:fs";
import type postgres from "postgres";
import { expect, test } from "vitest";
import { dumpSchema } from "../../bin/schema.ts";
import { parseCommand } from "../../lib/migrations/command.ts";
import { readMigrations } from "../../lib/migrations/files.ts";
import { runMigration } from "../../lib/migrations/ledger.ts";
import { migrate } from "../../lib/migrations/migrator.ts";
import type { Pool } from "../../lib/runtime/postgres/db.ts";
import { databases, folder, onEachServer, within } from "./servers.ts";
import { small } from "./small.ts";

// Nothing listens there: printing needs no database.
const nowhere = { DATABASE_URL: "postgres://127.0.0.1:1/nowhere" };

async function print(more: object, env: Record<string, string> = folder(small)): Promise<string> {
  const printed = await migrate(parseCommand({ command: "sql", ...more }), { ...nowhere, ...env });
  return printed.command === "sql" ? printed.sql : "";
}

function parts(sql: string): string[] {
  return [...sql.matchAll(/^-- (\d{4})_\w+ (up|down)$/gm)].map(([, number, way]) => `${number} ${way}`);
}

test("the SQL of every migration is printed without a database", async () => {
  const sql = (await print({}, {})) + (await print({ direction: "down", to: "0" }, {}));

  for (const file of readdirSync("migrations").filter((name) => /^\d{4}_.*\.sql$/.test(name))) {
    expect(sql).toContain(readFileSync(`migrations/${file}`, "utf8").trim());
  }
});

test.each([
  [{}, ["0001 up", "0002 up", "0003 up"]],
  [{ to: "0002" }, ["0001 up", "0002 up"]],
  [{ to: 2 }, ["0001 up", "0002 up"]],
  [{ step: 1 }, ["0001 up"]],
  [{ to: "0002_item", step: 1 }, ["0002 up"]],
  [{ to: "3", step: 2 }, ["0002 up", "0003 up"]],
  [{ to: "1", step: 5 }, ["0001 up"]],
  [{ direction: "down" }, ["0003 down"]],
  [{ direction: "down", step: 2 }, ["0003 down", "0002 down"]],
  [{ direction: "down", to: "1" }, ["0003 down", "0002 down"]],
  [{ direction: "down", to: "1", step: 1 }, ["0002 down"]],
  [{ direction: "down", to: "all" }, ["0003 down", "0002 down", "0001 down"]],
])("sql %o prints %o", async (command, expected) => {
  expect(parts(await print(command))).toEqual(expected);
});

test("an unknown target is refused, and what is wrong with the files too", async () => {
  await expect(print({ to: "9" })).rejects.toThrow("There is no migration 9.");
  await expect(print({}, folder({ ...small, "0002_b.up.sql": "", "0002_b.down.sql": "" }))).rejects.toThrow(
    "one number",
  );
});

onEachServer((fresh) => {
  test("what is printed does what up and down do, ledger and all", async () => {
    const [byMigrator, byHand] = [await fresh(), await fresh()];
    const ledger = (sql: postgres.Sql) => sql`select name, checksum from schema_migrations order by name`;
    await migrate({ command: "up" }, byMigrator);

    const after = await within(byHand, async (sql) => {
      await sql.unsafe(await print({}, {}));
      const up = { dump: await dumpSchema(sql), ledger: await ledger(sql) };
      const again = await migrate({ command: "up" }, byHand);
      await sql.unsafe(await print({ direction: "down", to: "0" }, {}));
      return { ...up, again, down: await dumpSchema(sql) };
    });

    const wanted = await within(byMigrator, async (sql) => ({
      dump: await dumpSchema(sql),
      ledger: await ledger(sql),
    }));
    expect(after).toMatchObject({ ...wanted, again: { applied: [], pending: [] }, down: "" });
  });
});

test("a migration runs in no other session than the one that has the lock", async () => {
  const env = await databases()();

  await within(env, async (sql) => {
    for (const migration of readMigrations("migrations")) {
      await expect(runMigration(sql as Pool, migration, "up", 1)).rejects.toThrow("the connection changed its session");
    }
    expect(await dumpSchema(sql)).toBe("");
    expect(await sql`select pg_current_xact_id_if_assigned() as open`).toEqual([{ open: null }]);
  });
});
