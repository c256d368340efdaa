import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { Unavailable } from "../../../lib/errors.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { isBusyError, isConnectionError } from "../../../lib/runtime/postgres/db-errors.ts";
import { withConnections } from "../../../lib/runtime/postgres/pool.ts";
import { db, direct, one, proxy } from "./behind-proxy.ts";

/** What is lost without a word, or at a moment when nobody looks: each of these has hung, ended the process, or written what it should not. */

beforeEach(async () => {
  await direct`create table if not exists said (word text)`;
  await direct`truncate said`;
});
afterAll(async () => {
  await direct`drop table said`;
});

const said = async () => (await direct<{ word: string }[]>`select word from said order by 1`).map(({ word }) => word);
const outcomeOf = async (promise: Promise<unknown>) => await promise.catch((error: unknown) => error);

test("a connection that falls silent in the middle of a call ends with the call's time, and the next call works", async () => {
  await withConnections(true, one);
  proxy.behave("swallow");

  const silent = await outcomeOf(withConnections(true, one, 300));
  proxy.behave("pass");

  expect(silent).toBeInstanceOf(Unavailable);
  expect(await withConnections(true, one)).toBe(1);
});

test("a call that is over is not run once more in the background", async () => {
  let runs = 0;
  await withConnections(true, one);
  proxy.behave("swallow");

  await outcomeOf(
    withConnections(
      true,
      async () => {
        runs++;
        await one();
      },
      200,
    ),
  );
  proxy.cut("rst");
  proxy.behave("pass");
  await withConnections(true, one);

  expect(runs).toBe(1);
});

test("calls that fail by one connection replace it once", async () => {
  await withConnections(true, one);
  const query = async () => await db`select pg_sleep(0.3)`;
  const calls = Array.from({ length: 8 }, () => withConnections(true, query));
  await sleep(100);

  proxy.cut("fin");
  await Promise.all(calls);

  expect(proxy.taken()).toBe(2);
});

test("a connection that falls silent leaves nothing open at the server", async () => {
  await withConnections(true, one);
  proxy.behave("swallow");
  await outcomeOf(withConnections(true, one, 100));
  proxy.behave("pass");

  await vi.waitFor(() => expect(proxy.open()).toBe(0), { timeout: 10_000 });
});

test.each(["fin", "rst"] as const)(
  "nothing that a transaction says after its connection was lost (%s) is kept, and the process lives",
  async (how) => {
    await db`select 1`;
    const [lost, next] = await Promise.all([
      outcomeOf(
        db.begin(async (tx) => {
          await tx`insert into said values ('before')`;
          proxy.cut(how);
          await sleep(100);
          await tx`insert into said values ('after')`;
        }),
      ),
      // Waits for the place, and so has it connected again at once.
      sleep(20).then(async () => await outcomeOf(db`insert into said values ('another')`)),
    ]);
    await sleep(100);

    expect(lost).toSatisfy(isConnectionError);
    expect(next).not.toBeInstanceOf(Error);
    expect(await said()).toEqual(["another"]);
  },
);

test("a transaction that goes on after a lost statement says nothing more", async () => {
  const lost = await outcomeOf(
    db.begin(async (tx) => {
      await tx`insert into said values ('before')`;
      setTimeout(() => proxy.cut("rst"), 50);
      await tx`select pg_sleep(0.5)`.catch(() => {});
      await tx`insert into said values ('after')`;
      return "done";
    }),
  );

  expect(lost).toSatisfy(isConnectionError);
  expect(await said()).toEqual([]);
});

test("what is said in a transaction that has ended is refused", async () => {
  let late: unknown;
  await outcomeOf(
    db.begin(async (tx) => {
      const slow = sleep(50).then(async () => await tx`insert into said values ('late')`);
      late = outcomeOf(slow);
      throw new Error("no");
    }),
  );

  expect(await late).toMatchObject({ message: expect.stringContaining("The transaction is over") });
  expect(await said()).toEqual([]);
});

test.each(["fin", "rst"] as const)("a connection may be lost (%s) at any moment of its making", async (how) => {
  for (let answers = 1; answers <= 6; answers++) {
    const fresh = connect(process.env, proxy.url);
    proxy.cutAfter(answers, how);
    await Promise.race([outcomeOf(fresh`select ${["a"]}::text[] as list`), sleep(1_000)]);
    await fresh.end({ timeout: 0 });
  }

  expect(await one()).toBe(1);
});

test("a server that ends a transaction which says nothing loses it alone", async () => {
  const lost = await outcomeOf(
    db.begin(async (tx) => {
      await tx`select set_config('idle_in_transaction_session_timeout', '50', true)`;
      await sleep(200);
      await tx`insert into said values ('after')`;
    }),
  );

  expect(lost).toSatisfy(isConnectionError);
  expect(await said()).toEqual([]);
  expect(await one()).toBe(1);
});

test("whoever waits for a lock of a silent connection gets it when the server has ended that", async () => {
  const LOCK = 77;
  const holder = outcomeOf(
    db.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(${LOCK})`;
      proxy.behave("swallow");
      await tx`select 1`;
    }),
  );
  await vi.waitUntil(async () => (await direct`select from pg_locks where locktype = 'advisory'`).length > 0);

  const got = await vi.waitUntil(
    async () =>
      await direct
        .begin(async (tx) => [await tx`select pg_advisory_xact_lock(${LOCK})`])
        .catch((error: unknown) => {
          if (!isBusyError(error)) throw error;
          return undefined;
        }),
    { timeout: 20_000 },
  );

  expect(got).toHaveLength(1);
  await db.end({ timeout: 0 });
  expect(await holder).toSatisfy(isConnectionError);
}, 30_000);

test("a statement that waits for somebody's row ends as busy", async () => {
  await direct`insert into said values ('mine')`;
  const waiting = connect({ ...process.env, DATABASE_LOCK_TIMEOUT_MS: "100" }, undefined, {});

  const error = await direct.begin(async (tx) => {
    await tx`update said set word = 'changed'`;
    return await outcomeOf(waiting`update said set word = 'other'`);
  });

  expect(error).toMatchObject({ code: "55P03" });
  expect(error).toSatisfy(isBusyError);
  await waiting.end();
});

test("every statement ends where the server says nothing, also outside of a call", async () => {
  const command = connect({ ...process.env, DATABASE_STATEMENT_TIMEOUT_MS: "100" }, proxy.url, {});
  await command`select 1`;
  proxy.behave("swallow");

  expect(await outcomeOf(command`select 1`)).toSatisfy(isConnectionError);
  await command.end({ timeout: 0 });
}, 15_000);

test("a session tells the server how long nobody may keep it waiting", async () => {
  const rows = await direct<{ name: string; setting: string }[]>`
    select name, setting from pg_settings
    where name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'tcp_keepalives_idle',
      'tcp_user_timeout')
  `;

  expect(Object.fromEntries(rows.map(({ name, setting }) => [name, Number(setting)]))).toEqual({
    statement_timeout: 25_000,
    lock_timeout: 5_000,
    idle_in_transaction_session_timeout: 10_000,
    tcp_keepalives_idle: 10,
    tcp_user_timeout: 25_000,
  });
});
