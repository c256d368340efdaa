import { afterAll, afterEach, beforeEach } from "vitest";
import { connect, type Pool } from "../../../lib/runtime/postgres/db.ts";
import { startProxy } from "../../support/http/proxy.ts";

/** The database itself, for all tests of a file. */
export const direct = connect(process.env, undefined, {});
/** A way to the database that can be cut, and a pool over it: others for each test, at whose end no error may be left uncaught. */
export let proxy: Awaited<ReturnType<typeof startProxy>>;
export let db: Pool;

const strays: unknown[] = [];
const stray = (error: unknown) => strays.push(error);

beforeEach(async () => {
  process.on("uncaughtException", stray);
  process.on("unhandledRejection", stray);
  proxy = await startProxy(process.env["DATABASE_URL"] ?? "");
  db = connect(process.env, proxy.url);
});
afterEach(async () => {
  proxy.behave("pass");
  await db.end({ timeout: 0 });
  await proxy.close();
  process.off("uncaughtException", stray);
  process.off("unhandledRejection", stray);
  if (strays.length > 0) throw new AggregateError(strays.splice(0), "errors that nobody caught");
});
afterAll(async () => {
  await direct.end();
});

/** A query over the proxy: 1. */
export const one = async () => (await db<{ one: number }[]>`select 1 as one`)[0]?.one;
