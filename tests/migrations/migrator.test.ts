import { expect, test } from "vitest";
import { dumpSchema } from "../../bin/schema.ts";
import { MigrationFault, Unavailable } from "../../lib/errors.ts";
import { migrate } from "../../lib/migrations/migrator.ts";
import { folder, onEachServer, within } from "./servers.ts";
import { small, without } from "./small.ts";

onEachServer((fresh) => {
  test("twenty migrators at once apply each migration once", async () => {
    const env = await fresh();

    const all = await Promise.all(Array.from({ length: 20 }, () => migrate({ command: "up" }, env)));

    const applied = all.flatMap((done) => (done.command === "up" ? done.applied : []));
    expect(applied).toEqual([...new Set(applied)]);
    expect(applied.length).toBeGreaterThan(2);
    expect(all.every((done) => done.command === "up" && done.pending.length === 0)).toBe(true);
    const rows = await within(env, (sql) => sql`select name from schema_migrations order by name`);
    expect(rows.map((row) => row["name"])).toEqual(applied);
  });

  test("twenty migrators of all kinds at once leave a ledger that tells the truth, and no lock", async () => {
    const env = await fresh(folder(small));
    const kinds = ["up", "down", "redo", "up"] as const;

    await Promise.all(Array.from({ length: 20 }, (_, index) => migrate({ command: kinds[index % 4] ?? "up" }, env)));
    const done = await migrate({ command: "up" }, env);

    expect(done).toMatchObject({ current: "0003_price", pending: [] });
    await within(env, async (sql) => {
      expect((await sql`select column_name from information_schema.columns where table_name = 'item'`).length).toBe(2);
      expect(
        await sql`select 1 from pg_locks where locktype = 'advisory' and database = (
        select oid from pg_database where datname = current_database())`,
      ).toHaveLength(0);
    });
  });

  test("a migration that fails leaves nothing of itself, and what came before stays", async () => {
    const env = await fresh(
      folder({ ...small, "0002_item.up.sql": "create table item (a integer);\n\nselect nothing from nowhere;\n" }),
    );

    const failed = migrate({ command: "up" }, env);

    await expect(failed).rejects.toThrow(MigrationFault);
    await expect(failed).rejects.toThrow(
      '0002_item.up.sql:3 failed: relation "nowhere" does not exist. Nothing of it was kept; the database is at 0001_shop.',
    );
    await within(env, async (sql) => {
      expect(await dumpSchema(sql)).not.toContain("create table item");
      expect(await sql`select name from schema_migrations`).toEqual([{ name: "0001_shop" }]);
    });
  });

  test("where the first migration fails not even a ledger is left", async () => {
    const env = await fresh(folder({ ...small, "0001_shop.up.sql": "create table shop (a integer); select 1/0;" }));

    await expect(migrate({ command: "up" }, env)).rejects.toThrow("division by zero");

    expect(await within(env, dumpSchema)).toBe("");
  });

  test("a way down that fails leaves the migration applied", async () => {
    const env = await fresh(folder({ ...small, "0002_item.down.sql": "drop table item; drop table nowhere;" }));
    await migrate({ command: "up" }, env);
    const before = await within(env, dumpSchema);

    await expect(migrate({ command: "down", step: 3 }, env)).rejects.toThrow(
      '0002_item.down.sql failed: table "nowhere" does not exist. Nothing of it was kept; the database is at 0002_item.',
    );

    expect(await migrate({ command: "status" }, env)).toMatchObject({ current: "0002_item", pending: ["0003_price"] });
    await migrate({ command: "up" }, env);
    expect(await within(env, dumpSchema)).toBe(before);
  });

  test.each([
    [
      "a changed one",
      { ...small, "0001_shop.up.sql": `${small["0001_shop.up.sql"]}-- more` },
      "0001_shop has changed since it was applied. Put it back",
    ],
    [
      "a changed way down",
      { ...small, "0002_item.down.sql": "select 1;" },
      "0002_item has changed since it was applied. Put it back",
    ],
    ["one whose files are gone", without("0002"), "0002_item is applied but its files are gone. Bring them back"],
    [
      "one that was renamed",
      { ...without("0002"), "0002_thing.up.sql": "", "0002_thing.down.sql": "" },
      "0002_item is applied but its files are gone",
    ],
    [
      "two with one number",
      { ...small, "0003_other.up.sql": "", "0003_other.down.sql": "" },
      "0003_other and 0003_price have one number, 0003. Renumber the newer one.",
    ],
    [
      "an up without a down",
      { ...small, "0004_more.up.sql": "create table more ();" },
      "0004_more.up.sql has no 0004_more.down.sql. Write it",
    ],
    [
      "a down without an up",
      { ...small, "0004_more.down.sql": "" },
      "0004_more.down.sql has no 0004_more.up.sql. Write it",
    ],
    [
      "a file of another name",
      { ...small, "4_more.sql": "create table more ();" },
      "4_more.sql is not named like a migration. Rename it",
    ],
    [
      "one that commits",
      { ...small, "0004_more.up.sql": "create table more ();\ncommit;", "0004_more.down.sql": "" },
      "0004_more.up.sql begins or ends a transaction. Take that out",
    ],
    ["an empty folder", {}, "holds no migrations. Set MIGRATIONS_DIR"],
  ])("%s is refused by up, down and redo, and nothing is done", async (_what, files, message) => {
    const env = await fresh();
    await migrate({ command: "up", to: "2" }, { ...env, ...folder(small) });
    const before = await within(env, dumpSchema);
    const changed = { ...env, ...folder(files) };

    for (const command of ["up", "down", "redo"] as const) {
      await expect(migrate({ command }, changed)).rejects.toThrow(message);
    }

    expect(await within(env, dumpSchema)).toBe(before);
    expect(await within(env, (sql) => sql`select name from schema_migrations order by name`)).toEqual([
      { name: "0001_shop" },
      { name: "0002_item" },
    ]);
  });

  test("a migration that is slipped in below an applied one is refused", async () => {
    const env = await fresh();
    await migrate(
      { command: "up" },
      {
        ...env,
        ...folder(without("0002")),
        ...folder({
          ...without("000"),
          "0001_a.up.sql": "",
          "0001_a.down.sql": "",
          "0003_c.up.sql": "",
          "0003_c.down.sql": "",
        }),
      },
    );

    const late = folder({
      "0001_a.up.sql": "",
      "0001_a.down.sql": "",
      "0002_b.up.sql": "",
      "0002_b.down.sql": "",
      "0003_c.up.sql": "",
      "0003_c.down.sql": "",
    });

    await expect(migrate({ command: "up" }, { ...env, ...late })).rejects.toThrow(
      "0002_b is not applied, but the later 0003_c is. Renumber it to come after 0003_c.",
    );
  });

  test.each(["4", "0004", "0002_thing", "item", "-1", "2; drop table shop", "0", "all"])(
    "up to %s, which is no migration, is refused and nothing is done",
    async (to) => {
      const env = await fresh(folder(small));

      await expect(migrate({ command: "up", to }, env)).rejects.toThrow(
        `There is no migration ${to}. There are: 0001_shop, 0002_item, 0003_price.`,
      );

      expect(await within(env, dumpSchema)).toBe("");
    },
  );

  test("everything down leaves the database as it was found, without a ledger too", async () => {
    const env = await fresh(folder(small));
    await migrate({ command: "up" }, env);

    const done = await migrate({ command: "down", to: "all" }, env);

    expect(done).toEqual({
      command: "down",
      reverted: ["0003_price", "0002_item", "0001_shop"],
      applied: [],
      current: null,
      pending: ["0001_shop", "0002_item", "0003_price"],
    });
    expect(
      await within(env, (sql) => sql`select relname from pg_class where relnamespace = 'public'::regnamespace`),
    ).toEqual([]);
  });

  test("status says what is applied since when, what is pending and what is wrong, and writes nothing", async () => {
    const env = await fresh(folder(small));
    const before = await migrate({ command: "status" }, env);
    expect(await within(env, dumpSchema)).toBe("");
    await migrate({ command: "up", step: 2 }, env);
    const changed = { ...env, ...folder({ ...small, "0002_item.up.sql": "" }) };

    const after = await migrate({ command: "status" }, changed);

    expect(before).toMatchObject({ applied: [], current: null, faults: [] });
    expect(after).toMatchObject({
      command: "status",
      running: false,
      applied: [
        { name: "0001_shop", applied_at: expect.stringMatching(/^20.*Z$/), duration_ms: expect.any(Number) },
        { name: "0002_item" },
      ],
      current: "0002_item",
      pending: ["0003_price"],
      faults: [expect.stringContaining("0002_item has changed")],
    });
  });

  test("status says while somebody migrates", async () => {
    const slow = { ...small, "0001_shop.up.sql": `${small["0001_shop.up.sql"]}select pg_sleep(3);` };
    const env = await fresh(folder(slow));
    const status = async () => await migrate({ command: "status" }, env);

    const done = migrate({ command: "up" }, env);
    await expect.poll(status, { timeout: 20_000 }).toMatchObject({ running: true });
    await done;

    expect(await status()).toMatchObject({ running: false, pending: [] });
  });

  test("a statement timeout, of the role or of the connection string, does not end a long migration", async () => {
    const slow = { ...small, "0001_shop.up.sql": `${small["0001_shop.up.sql"]}select pg_sleep(0.4);` };
    const env = await fresh(folder(slow));
    const url = `${env.DATABASE_URL}?statement_timeout=100`;

    const done = await migrate({ command: "up" }, { ...env, DATABASE_URL: url, DATABASE_STATEMENT_TIMEOUT_MS: "100" });

    expect(done).toMatchObject({ pending: [] });
  });

  test("where the connection breaks, what was begun is undone and the error says to migrate again", async () => {
    const env = await fresh(
      folder({
        ...small,
        "0002_item.up.sql": `${small["0002_item.up.sql"]}select pg_terminate_backend(pg_backend_pid());`,
      }),
    );

    const failed = migrate({ command: "up" }, env);

    await expect(failed).rejects.toThrow(Unavailable);
    await expect(failed).rejects.toThrow("The connection to the database was lost. Migrate again");
    const done = await migrate({ command: "up" }, { ...env, ...folder(small) });
    expect(done).toMatchObject({ applied: ["0002_item", "0003_price"], pending: [] });
  });

  test("a checkout with Windows line ends is the same migration", async () => {
    const env = await fresh();
    await migrate({ command: "up" }, { ...env, ...folder(small) });
    const windows = Object.fromEntries(
      Object.entries(small).map(([name, sql]) => [name, sql.replaceAll("\n", "\r\n")]),
    );

    const done = await migrate({ command: "up" }, { ...env, ...folder(windows) });

    expect(done).toMatchObject({ applied: [], pending: [] });
  });
});
