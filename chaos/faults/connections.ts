import { setTimeout as sleep } from "node:timers/promises";
import { KEEPALIVE_MS } from "../ways/database-proxy.ts";
import { type Fault, repeatedly } from "./fault.ts";
import { functionsOf, tamperDatabases, tamperQueues } from "./tamper.ts";

/** Faults of the ways between processes and the database or SQS. */
export const CONNECTIONS: readonly Fault[] = [
  {
    id: "commit-reply-lost",
    breaks: "statements and commits succeed, and the connection is lost before anybody is told",
    holds: "the same statement again finds what is there: no second row, no 500",
    lasts: 8_000,
    inject: async (world, dice) =>
      tamperDatabases(world, (data, way) => (way === "to client" && isEnd(data) && dice.chance(0.12) ? "cut" : "pass")),
  },
  {
    id: "commits-late",
    breaks: "some commits take seconds, so that the later row is there first",
    holds: "each row is sent, whatever its number",
    lasts: 8_000,
    inject: async (world, dice) =>
      tamperDatabases(world, (_data, way) =>
        way === "to server" && dice.chance(0.08) ? { delayMs: dice.whole(500, 2_500) } : "pass",
      ),
  },
  {
    id: "database-silent",
    breaks: "every connection to the database falls silent, and for seconds new ones too",
    holds: "each call ends within its deadline; the places in the pools come back",
    lasts: 7_000,
    lockedMs: KEEPALIVE_MS,
    inject: async (world) => tamperDatabases(world, () => "silence"),
  },
  {
    id: "dispatcher-silent",
    breaks: "the dispatcher's connection falls silent between its claim and its commit",
    holds: "others dispatch meanwhile; the lock of the silent session is not for ever",
    lasts: 10_000,
    lockedMs: KEEPALIVE_MS,
    inject: async ({ sandboxes: { dispatch } }) => {
      let silent = false;
      dispatch.database.tamper((data, way) => {
        if (!silent && way === "to server" && data.includes("insert into outbox")) silent = true;
        return silent ? "silence" : "pass";
      });
      return async () => dispatch.database.tamper();
    },
  },
  {
    id: "database-hangs-up",
    breaks: "connections are reset, and new ones refused, on and off",
    holds: "no process ends, whatever a new connection asks first",
    lasts: 8_000,
    inject: async (world, dice) => {
      const stop = repeatedly(dice, [200, 900], async () => {
        for (const { database } of functionsOf(world)) {
          database.refuse(true);
          database.cut();
        }
        await sleep(dice.whole(50, 500));
        for (const { database } of functionsOf(world)) database.refuse(false);
        await sleep(dice.whole(5, 60));
        for (const { database } of functionsOf(world)) database.cut();
      });
      return stop;
    },
  },
  {
    id: "secret-rotated",
    breaks: "the password is changed again and again, the secret a moment later, and connections are ended (28P01)",
    holds: "the new one is asked for; no process ends",
    lasts: 8_000,
    inject: async ({ database, secret }, dice) => {
      await database.askPassword();
      return repeatedly(dice, [1_500, 3_000], async () => {
        const password = dice.uuid();
        await database.sql.unsafe(`alter role waybill password '${password}'`);
        await database.sql`
          select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'waybill'
        `.catch(() => {});
        await sleep(dice.whole(0, 800));
        secret.set(password);
      });
    },
  },
  {
    id: "queues-silent",
    breaks: "SQS takes calls and does not answer, for functions and agents",
    holds: "no call hangs past its deadline; what was not sent is sent afterwards",
    lasts: 8_000,
    inject: async (world, dice) =>
      tamperQueues(world, async (_call, forward) => {
        if (dice.chance(0.5)) await forward().catch(() => {});
        return "silence";
      }),
  },
  {
    id: "agent-cut-off",
    breaks: "one process of an agent reaches neither its queue nor the results queue for longer than a lease",
    holds: "another attempt may run; what the cut off one completed counts where nothing else ended the work",
    lasts: 9_000,
    load: { ms: [300, 2_500] },
    inject: async ({ agents }, dice) => {
      const { queues } = dice.one(agents.filter(({ agent }) => agent === "mason"));
      queues.tamper(async () => "cut");
      return async () => queues.tamper();
    },
  },
];

/** Whether a piece of what the server says ends a statement that changed something, or a transaction. */
function isEnd(data: Buffer): boolean {
  return ["COMMIT\0", "INSERT 0", "UPDATE ", "SELECT 1\0"].some((tag) => data.includes(tag));
}
