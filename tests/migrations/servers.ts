import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import postgres from "postgres";
import { afterAll, describe } from "vitest";

/** Makes an empty database of its own on one server; it is dropped after the file's tests. Answers the environment for it. */
export type Fresh = (more?: Record<string, string>) => Promise<{ DATABASE_URL: string } & Record<string, string>>;

const embedded = process.env["WAYBILL_TEST_POSTGRES"] ?? "";
const fifteen = await findFifteen();

/**
 * Declares the tests once for the Postgres of the test run and once for a Postgres 15, where one is found; `cases` is how many random
 * cases are for each.
 */
export function onEachServer(declare: (fresh: Fresh, cases: number) => void): void {
  describe("on the Postgres of the test run", () => {
    declare(databasesOn(embedded), 100);
  });
  const missing = fifteen === undefined ? " (skipped, none answers: set TEST_POSTGRES_15_URL to a superuser's)" : "";
  describe.skipIf(fifteen === undefined)(`on Postgres 15${missing}`, () => {
    declare(databasesOn(fifteen ?? ""), 25);
  });
}

/** Databases on the Postgres of the test run. */
export function databases(): Fresh {
  return databasesOn(embedded);
}

/** Runs one piece of work with a connection to the database of this environment. */
export async function within<T>(env: { DATABASE_URL: string }, run: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(env.DATABASE_URL, { max: 1, onnotice: () => {} });
  try {
    return await run(sql);
  } finally {
    await sql.end();
  }
}

/** A folder of files with these texts, gone after the file's tests; answers the environment that names it. */
export function folder(files: Record<string, string>): { MIGRATIONS_DIR: string } {
  const dir = mkdtempSync(join(tmpdir(), "waybill-migrations-"));
  folders.push(dir);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return { MIGRATIONS_DIR: dir };
}

const folders: string[] = [];
afterAll(() => {
  for (const dir of folders) rmSync(dir, { recursive: true, force: true });
});

function databasesOn(adminUrl: string): Fresh {
  const made: string[] = [];
  afterAll(async () => {
    await within({ DATABASE_URL: adminUrl }, async (sql) => {
      for (const name of made) await sql.unsafe(`drop database if exists ${name} with (force)`);
    });
  });
  return async (more = {}) => {
    const name = `waybill_test_${randomBytes(6).toString("hex")}`;
    made.push(name);
    // Not template1, which on somebody's server may hold anything.
    await within({ DATABASE_URL: adminUrl }, async (sql) => {
      await sql.unsafe(`create database ${name} template template0`);
      await sql.unsafe(`alter database ${name} set synchronous_commit = off`);
      await sql.unsafe(`alter database ${name} set jit = off`);
    });
    const url = new URL(adminUrl);
    url.pathname = `/${name}`;
    return { ...more, DATABASE_URL: url.href };
  };
}

async function findFifteen(): Promise<string | undefined> {
  const given = process.env["TEST_POSTGRES_15_URL"];
  const url = given ?? "postgres://postgres@127.0.0.1:5432/postgres";
  const sql = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
  try {
    const [row] = await sql<{ fits: boolean }[]>`
      select current_setting('server_version_num')::int between 150000 and 159999
        and (select rolsuper or rolcreatedb from pg_roles where rolname = current_user) as fits
    `;
    if (given !== undefined && !row?.fits) throw new Error("It is no Postgres 15 on which we may create databases.");
    return row?.fits ? url : undefined;
  } catch (cause) {
    if (given !== undefined) throw new Error("TEST_POSTGRES_15_URL does not lead to a Postgres 15.", { cause });
    return undefined;
  } finally {
    await sql.end({ timeout: 1 });
  }
}
