import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import { type Fault, repeatedly } from "./fault.ts";
import { missingDisk, onSmallDisk } from "./small-disk.ts";

/** Faults of the database itself. */
export const POSTGRES: readonly Fault[] = [
  {
    id: "postgres-restarts",
    breaks: "Postgres is ended in the middle of transactions, as by a power cut, again and again",
    holds: "pools heal without a restart of their process; nothing half-written",
    lasts: 12_000,
    inject: async ({ database }, dice) => {
      const stop = repeatedly(dice, [2_500, 4_500], async () => {
        await database.stop("immediate");
        await sleep(dice.whole(0, 1_500));
        await database.start();
      });
      return stop;
    },
  },
  {
    id: "postgres-away",
    breaks: "the database is away for more deliveries than a message has",
    holds: "no valid message is dead-lettered; completed work has all its output",
    lasts: 70_000,
    mixes: false,
    load: { perSecond: 2 },
    inject: async ({ database }) => {
      await database.stop("immediate");
      return async () => await database.start();
    },
  },
  {
    id: "backends-terminated",
    breaks: "connections are ended by the server (57P01), idle and in the middle of statements",
    holds: "no process ends; each call is repeated or answered 503",
    lasts: 8_000,
    inject: async ({ database }, dice) =>
      repeatedly(dice, [150, 700], async () => {
        await database.sql`
          select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'waybill'
        `.catch(() => {});
      }),
  },
  {
    id: "row-locked",
    breaks: "somebody holds the row of one piece of work under way",
    holds: "the results of the others are recorded meanwhile; none is dead-lettered",
    lasts: 14_000,
    load: { ms: [300, 1_500] },
    inject: async ({ database }) => {
      const { promise: over, resolve: end } = Promise.withResolvers<void>();
      const held = database.sql
        .begin(async (tx) => {
          for (let tries = 0; tries < 50; tries++) {
            const rows = await tx`select task_id from tasks where status = 'executing' limit 1 for update skip locked`;
            if (rows.length > 0) break;
            await sleep(50);
          }
          await over;
        })
        .catch(() => {});
      return async () => {
        end();
        await held;
      };
    },
  },
  {
    id: "lock-storm",
    breaks: "others lock the same rows in the opposite order: deadlocks (40P01) and long waits",
    holds: "what fails is tried again; every state stays legal",
    lasts: 8_000,
    inject: async ({ database }, dice) => {
      const stops = [1, 2].map((writer) =>
        repeatedly(dice.of(String(writer)), [20, 120], async () => {
          await database.sql
            .begin(async (tx) => {
              const rows = await tx<{ taskId: string }[]>`
                select task_id from tasks where status in ('approved', 'executing') order by task_id limit 50
              `;
              const left = [...rows];
              const chosen = rows.slice(0, 6).flatMap(() => left.splice(dice.whole(0, left.length - 1), 1));
              for (const { taskId } of chosen) {
                await tx`select 1 from tasks where task_id = ${taskId} for update`;
                await sleep(dice.whole(20, 150));
              }
            })
            .catch(() => {});
        }),
      );
      return async () => void (await Promise.all(stops.map((stop) => stop())));
    },
  },
  {
    id: "connections-used-up",
    breaks: "others have all of max_connections (53300), and one of them an old snapshot",
    holds: "503 instead of a wait without end; all is as before when they have gone",
    lasts: 9_000,
    inject: async ({ database }, dice) => {
      const others = postgres(database.url, { max: 210, connect_timeout: 3, fetch_types: false, onnotice: () => {} });
      const waiting: Promise<unknown>[] = [];
      const stop = repeatedly(dice, [0, 600], async () => {
        await database.sql`
          select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'waybill'
        `.catch(() => {});
        for (let more = 0; more < 40; more++) waiting.push(others`select pg_sleep(600)`.catch(() => {}));
      });
      return async () => {
        await stop();
        await others.end({ timeout: 0 }).catch(() => {});
        await Promise.all(waiting);
        await database.sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where query like 'select pg_sleep%' and pid <> pg_backend_pid()
        `.catch(() => {});
      };
    },
  },
  {
    id: "snapshot-held",
    breaks: "a session keeps an old snapshot, so that no dead row can be removed",
    holds: "everything goes on, only slower",
    lasts: 8_000,
    inject: async ({ database }) => {
      const { promise: over, resolve: end } = Promise.withResolvers<void>();
      const held = database.sql
        .begin("isolation level repeatable read", async (tx) => {
          await tx`select count(*) from tasks`;
          await over;
        })
        .catch(() => {});
      return async () => {
        end();
        await held;
      };
    },
  },
  {
    id: "disk-full",
    breaks: "the volume of the database is full",
    holds: "submits fail with 503, nothing is half-written, and it goes on when there is space again",
    lasts: 8_000,
    mixes: false,
    missing: missingDisk,
    inject: async ({ database, stops }) => {
      await database.stop("fast");
      const disk = onSmallDisk(database.dir);
      stops.unshift(async () => disk.release());
      await database.start();
      disk.fill();
      return async () => {
        disk.empty();
        // A server that could not write its log has ended itself.
        await database.stop("immediate");
        await database.start();
      };
    },
  },
];
