import { readFileSync } from "node:fs";
import fc from "fast-check";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { dumpSchema } from "../../bin/schema.ts";
import type { MigrateCommand } from "../../lib/migrations/command.ts";
import { readMigrations } from "../../lib/migrations/files.ts";
import { migrate } from "../../lib/migrations/migrator.ts";
import { type Fresh, onEachServer, within } from "./servers.ts";

const names = readMigrations("migrations").map(({ name }) => name);
const count = names.length;

const target = fc.integer({ min: 0, max: count - 1 }).chain((index) => {
  const name = names[index] ?? "";
  return fc.constantFrom(name, name.slice(0, 4), String(index + 1));
});
const reach = fc.oneof(
  fc.constant({}),
  fc.record({ to: target }),
  fc.record({ step: fc.integer({ min: 1, max: count + 1 }) }),
);
const downReach = fc.oneof(reach, fc.record({ to: fc.constantFrom("0", "all", "0000") }));
const command: fc.Arbitrary<MigrateCommand> = fc.oneof(
  { weight: 3, arbitrary: reach.map((more) => ({ command: "up" as const, ...more })) },
  { weight: 3, arbitrary: downReach.map((more) => ({ command: "down" as const, ...more })) },
  { weight: 1, arbitrary: downReach.map((more) => ({ command: "redo" as const, ...more })) },
);

/** A level: mostly near the top, so that the time which the cases take does not grow with the number of migrations. */
const someLevel = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: Math.max(0, count - 2), max: count }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: count }) },
);

/** What a command must do to a database where the first `level` migrations are applied. */
function model({ command: kind, to, step }: MigrateCommand, level: number) {
  const wanted =
    to === undefined ? undefined : names.findIndex((name) => name.startsWith(to.slice(0, 4).padStart(4, "0")));
  const downTo = Math.min(level, wanted === undefined ? Math.max(0, level - (step ?? 1)) : wanted + 1);
  const upTo = Math.max(level, wanted === undefined ? Math.min(count, level + (step ?? count)) : wanted + 1);
  if (kind === "up") return { reverted: [], applied: names.slice(level, upTo), level: upTo };
  const reverted = names.slice(downTo, level).toReversed();
  return kind === "down"
    ? { reverted, applied: [], level: downTo }
    : { reverted, applied: reverted.toReversed(), level };
}

// Random cases on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

onEachServer((fresh, cases) => {
  let env: Awaited<ReturnType<Fresh>>;
  let sql: postgres.Sql;
  let level = 0;
  const dumps: string[] = [];

  beforeAll(async () => {
    env = await fresh();
    sql = postgres(env.DATABASE_URL, { max: 1, onnotice: () => {} });
    dumps.push(await dumpSchema(sql));
    for (const to of names) {
      await migrate({ command: "up", to }, env);
      dumps.push(await dumpSchema(sql));
    }
    level = count;
  });
  afterAll(async () => {
    await sql.end();
  });

  // The level is carried from case to case, so a smaller case would start elsewhere.
  const runs = { numRuns: cases, endOnFailure: true };
  const goTo = async (wanted: number) => {
    await migrate({ command: wanted > level ? "up" : "down", to: String(wanted) }, env);
    level = wanted;
  };

  test("every migration changes the schema, and the last leaves what schema.sql says", () => {
    expect(new Set(dumps).size).toBe(count + 1);
    expect(dumps[0]).toBe("");
    expect(readFileSync("migrations/schema.sql", "utf8").replace(/^(--.*\n)+/, "")).toBe(dumps[count]);
  });

  test("after any command the database is where the model says, and its schema is what that level's always was", async () => {
    await fc.assert(
      fc.asyncProperty(command, async (given) => {
        const expected = model(given, level);

        const done = await migrate(given, env);

        ({ level } = expected);
        expect(done).toEqual({
          command: given.command,
          reverted: expected.reverted,
          applied: expected.applied,
          current: names[level - 1] ?? null,
          pending: names.slice(level),
        });
        expect(await dumpSchema(sql)).toBe(dumps[level]);
      }),
      runs,
    );
  });

  test("up and down again restores the schema that was there before", async () => {
    const trips = fc.tuple(someLevel, fc.integer({ min: 1, max: count }));

    await fc.assert(
      fc.asyncProperty(trips, async ([from, step]) => {
        await goTo(from);

        await migrate({ command: "up", step }, env);
        await migrate({ command: "down", to: String(from) }, env);

        expect(await dumpSchema(sql)).toBe(dumps[from]);
      }),
      runs,
    );
  });

  test("migrating again changes nothing, from any state: with a ledger that was lost, wholly or in part, too", async () => {
    const states = fc.record({ from: someLevel, kept: fc.integer({ min: 0, max: count }) });

    await fc.assert(
      fc.asyncProperty(states, async ({ from, kept }) => {
        await goTo(from);
        if (kept === 0) await sql`drop table if exists schema_migrations`;
        else if (from > 0) await sql`delete from schema_migrations where name > ${names[kept - 1] ?? ""}`;

        const once = await migrate({ command: "up" }, env);
        const again = await migrate({ command: "up" }, env);

        level = count;
        expect(once).toMatchObject({ applied: names.slice(Math.min(from, kept)), pending: [] });
        expect(again).toMatchObject({ applied: [], reverted: [], pending: [] });
        expect(await dumpSchema(sql)).toBe(dumps[count]);
      }),
      runs,
    );
  });

  test("the migrated schema equals the committed reference, column by column", async () => {
    const reference = await fresh();
    await goTo(count);

    const wanted = await within(reference, async (other) => {
      await other.unsafe(readFileSync("migrations/schema.sql", "utf8"));
      return { columns: await columnsOf(other), dump: await dumpSchema(other) };
    });

    expect(wanted.columns.length).toBeGreaterThan(50);
    expect(await columnsOf(sql)).toEqual(wanted.columns);
    expect(wanted.dump).toBe(dumps[count]);
  });
});

async function columnsOf(sql: postgres.Sql): Promise<object[]> {
  return await sql`
    select table_name, row_number() over (partition by table_name order by ordinal_position) as place, column_name, data_type, udt_name, is_nullable, column_default,
      character_maximum_length, numeric_precision, is_identity, is_generated
    from information_schema.columns where table_schema = 'public'
    order by table_name, ordinal_position
  `;
}
