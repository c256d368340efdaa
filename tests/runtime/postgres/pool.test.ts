import { afterEach, expect, test, vi } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { isBusyError, isConnectionError } from "../../../lib/runtime/postgres/db-errors.ts";
import { withConnections } from "../../../lib/runtime/postgres/pool.ts";
import { db, direct, one, proxy } from "./behind-proxy.ts";

afterEach(() => void vi.useRealTimers());

/** Lambda freezes a process between calls: for the pool, time has passed and nothing was seen. */
const freeze = () => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 });

test.each(["fin", "rst"] as const)(
  "a socket that died (%s) in the pause before a call is replaced first",
  async (how) => {
    await withConnections(false, one);

    proxy.cut(how);
    freeze();

    expect(await withConnections(false, one)).toBe(1);
  },
);

test("a socket that swallows everything after a pause costs half a second, not the call", async () => {
  await withConnections(false, one);

  proxy.behave("swallow");
  freeze();
  const started = performance.now();
  setTimeout(() => proxy.behave("pass"), 100);

  expect(await withConnections(false, one)).toBe(1);
  expect(performance.now() - started).toBeLessThan(2_000);
});

test.each(["fin", "rst"] as const)(
  "a connection lost (%s) inside a query: a repeatable run is run again",
  async (how) => {
    let runs = 0;
    const run = async () => {
      runs++;
      const query = db`select pg_sleep(${runs === 1 ? 5 : 0})`.execute();
      if (runs === 1) setTimeout(() => proxy.cut(how), 100);
      await query;
      return "done";
    };

    expect(await withConnections(true, run)).toBe("done");
    expect(runs).toBe(2);
  },
);

test("a connection lost inside a query: any other run rejects once and the next one works", async () => {
  let runs = 0;
  const lost = withConnections(false, async () => {
    runs++;
    setTimeout(() => proxy.cut("fin"), 100);
    await db`select pg_sleep(5)`;
  });

  await expect(lost).rejects.toSatisfy(isConnectionError);
  expect(runs).toBe(1);
  expect(await withConnections(false, one)).toBe(1);
});

test.each(["fin", "rst"] as const)(
  "a connection lost (%s) inside a transaction ends it and nothing else",
  async (how) => {
    const lost = withConnections(false, () =>
      db.begin(async (tx) => {
        await tx`select 1`;
        setTimeout(() => proxy.cut(how), 50);
        await tx`select pg_sleep(5)`;
      }),
    );

    await expect(lost).rejects.toSatisfy(isConnectionError);
    expect(await withConnections(false, one)).toBe(1);
  },
);

test("a backend that an administrator ends inside a transaction is a lost connection", async () => {
  const lost = withConnections(false, () =>
    db.begin(async (tx) => {
      const [row] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
      setTimeout(() => void direct`select pg_terminate_backend(${row?.pid ?? 0})`.execute(), 50);
      await tx`select pg_sleep(5)`;
    }),
  );

  await expect(lost).rejects.toSatisfy(isConnectionError);
  expect(await withConnections(false, one)).toBe(1);
});

test("an error of a statement rolls its transaction back and keeps the connection", async () => {
  await withConnections(false, one);

  const failed = withConnections(true, () => db.begin(async (tx) => [await tx`select 1`, await tx`select 1 / 0`]));

  await expect(failed).rejects.toMatchObject({ code: "22012" });
  expect(await withConnections(false, one)).toBe(1);
  expect(proxy.taken()).toBe(1);
});

test("statements that a transaction answers as a list are all sent", async () => {
  const rows = await db.begin((tx) => [tx`select 1 as n`, tx`select 2 as n`]);

  expect(rows.map(([row]) => row?.["n"])).toEqual([1, 2]);
});

test("a host that closes every connection at once is an error, not an endless loop", async () => {
  proxy.behave("hang up");

  const started = performance.now();
  await expect(withConnections(true, one)).rejects.toSatisfy(isConnectionError);

  expect(performance.now() - started).toBeLessThan(3_000);
  expect(proxy.taken()).toBeLessThan(20);
  proxy.behave("pass");
  await vi.waitUntil(async () => (await withConnections(true, one).catch(() => 0)) === 1, { timeout: 5_000 });
});

test("a pool of the caller's own is neither tried nor replaced", async () => {
  const [before] = await direct`select pg_backend_pid() as pid`;
  proxy.behave("hang up");
  await withConnections(true, one).catch(() => {});

  const [after] = await direct`select pg_backend_pid() as pid`;

  expect(after).toEqual(before);
});

test("a pool with a transaction open is not tried before a call, so that it does not wait for itself", async () => {
  await db.begin(async (tx) => {
    await tx`select 1`;
    const started = performance.now();
    await withConnections(false, async () => {});
    expect(performance.now() - started).toBeLessThan(200);
    await tx`select 2`;
  });
});

test("a statement over its time is busy, not lost", async () => {
  const slow = connect({ ...process.env, DATABASE_STATEMENT_TIMEOUT_MS: "100" });

  const error = await slow`select pg_sleep(5)`.catch((caught: unknown) => caught);

  expect([isBusyError(error), isConnectionError(error)]).toEqual([true, false]);
  await slow.end();
});
