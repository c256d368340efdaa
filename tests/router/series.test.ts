import { randomUUID } from "node:crypto";
import { expect, test, vi } from "vitest";
import { migrate } from "../../lib/migrations/migrator.ts";
import { keepPartitions } from "../../lib/router/series.ts";
import { seriesSettings } from "../../lib/router/settings.ts";
import { connect, type Db, type Pool } from "../../lib/runtime/postgres/db.ts";
import { isBusyError } from "../../lib/runtime/postgres/db-errors.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { prepareDatabase } from "../../lib/wiring/database.ts";
import { onEachServer } from "../migrations/servers.ts";
import { ACTOR } from "../support/database/actor.ts";

const settings = readSettings(seriesSettings, {});
const may = new Date("2026-05-31T23:59:59Z");
const june = new Date("2026-06-01T00:00:00Z");

onEachServer((fresh) => {
  async function database(run: (db: Pool, env: NodeJS.ProcessEnv) => Promise<void>): Promise<void> {
    const env = await fresh();
    await migrate({ command: "up" }, env);
    const db = connect(env);
    try {
      await run(db, env);
    } finally {
      await db.end();
    }
  }

  test("this and the next month have a partition, once however often and by however many it is asked", async () => {
    await database(async (db) => {
      const first = await keepPartitions(db, ACTOR, settings, may);
      expect(first).toEqual({
        made: [
          "router_performance_metrics_2026_05",
          "router_performance_metrics_2026_06",
          "agent_transformation_events_2026_05",
          "agent_transformation_events_2026_06",
          "audit_events_2026_05",
          "audit_events_2026_06",
        ],
        ended: [],
      });
      expect(await keepPartitions(db, ACTOR, settings, may)).toEqual({ made: [], ended: [] });
      const both = await Promise.all([
        keepPartitions(db, ACTOR, settings, june),
        keepPartitions(db, ACTOR, settings, june),
      ]);
      expect(both.flatMap(({ made }) => made).toSorted()).toEqual([
        "agent_transformation_events_2026_07",
        "audit_events_2026_07",
        "router_performance_metrics_2026_07",
      ]);
    });
  });

  test("a database that is prepared has them before there is work", async () => {
    await database(async (db, env) => {
      await prepareDatabase(env);

      expect(await keepPartitions(db, ACTOR, settings)).toEqual({ made: [], ended: [] });
    });
  });

  test("a row on its way to the default partition while its month is attached is told to come again", async () => {
    await database(async (db, env) => {
      const other = connect(env, undefined, { max: 1 });
      try {
        let refused: Promise<unknown> | undefined;
        await db.begin(async (making) => {
          await making`lock table router_performance_metrics_default in access exclusive mode`;
          refused = decision(other, "2026-05-15 12:00:00+00").catch((error: unknown) => error);
          await vi.waitUntil(async () => {
            const [row] =
              await making`select 1 from pg_locks where not granted and relation = 'router_performance_metrics_default'::regclass`;
            return row !== undefined;
          });
          await making`create table router_performance_metrics_2026_05 (like router_performance_metrics including all)`;
          await making`
            alter table router_performance_metrics attach partition router_performance_metrics_2026_05
            for values from ('2026-05-01Z') to ('2026-06-01Z')
          `;
        });
        const error = await refused;
        expect(error).toMatchObject({ code: "23514" });
        expect(isBusyError(error)).toBe(true);
      } finally {
        await other.end();
      }
    });
  });

  test("a row goes to the month of its time, to the microsecond before the next one, in UTC", async () => {
    await database(async (db) => {
      await keepPartitions(db, ACTOR, settings, may);
      await decision(db, "2026-05-31 23:59:59.999999+00");
      await decision(db, "2026-06-01 01:59:59+02");
      await decision(db, "2026-06-01 00:00:00+00");
      expect(await countsOf(db, "router_performance_metrics")).toEqual({
        router_performance_metrics_2026_05: 2,
        router_performance_metrics_2026_06: 1,
      });
    });
  });

  test("what came before its partition was there is kept, and moves over with its nesting", async () => {
    await database(async (db) => {
      await decision(db, "2026-03-05 12:00:00+00");
      await decision(db, "2026-05-05 12:00:00+00");
      const parent = await event(db, "2026-04-30 23:00:00+00");
      const child = await event(db, "2026-05-01 01:00:00+00", parent);
      await event(db, "2026-05-01 02:00:00+00", child);

      await keepPartitions(db, ACTOR, settings, may);

      expect(await countsOf(db, "router_performance_metrics")).toEqual({
        router_performance_metrics_2026_03: 1,
        router_performance_metrics_2026_05: 1,
      });
      expect(await countsOf(db, "agent_transformation_events")).toEqual({
        agent_transformation_events_2026_04: 1,
        agent_transformation_events_2026_05: 2,
      });
      await expect(
        event(db, "2026-05-02 00:00:00+00", { id: randomUUID(), at: "2026-05-01 00:00:00+00" }),
      ).rejects.toThrow("agent_transformation_events_parent_fkey");
    });
  });

  test("months past the retention are dropped, and what is younger stays, without its parent where that is gone", async () => {
    await database(async (db) => {
      await decision(db, "2026-03-31 23:00:00+00");
      await decision(db, "2026-04-01 00:00:00+00");
      const old = await event(db, "2026-03-31 22:00:00+00");
      const inner = await event(db, "2026-03-31 23:00:00+00", old);
      const young = await event(db, "2026-04-01 01:00:00+00", inner);
      const youngest = await event(db, "2026-04-01 02:00:00+00", young);

      const { ended } = await keepPartitions(db, ACTOR, { ...settings, retentionMonths: 1 }, may);

      expect(ended).toEqual(["router_performance_metrics_2026_03", "agent_transformation_events_2026_03"]);
      expect(await countsOf(db, "router_performance_metrics")).toEqual({ router_performance_metrics_2026_04: 1 });
      const left = await db`select event_id, parent_event_id from agent_transformation_events order by occurred_at`;
      expect(left).toEqual([
        { eventId: young.id, parentEventId: null },
        { eventId: youngest.id, parentEventId: young.id },
      ]);
      expect(await db`select from pg_class where relname like '%2026_03%'`).toHaveLength(0);
    });
  });

  test("an archived month stays as a table of its own, with its nesting", async () => {
    await database(async (db) => {
      const old = await event(db, "2026-03-31 22:00:00+00");
      await event(db, "2026-03-31 23:00:00+00", old);
      await decision(db, "2026-03-31 23:00:00+00");

      await keepPartitions(db, ACTOR, { ...settings, retentionMonths: 1, expired: "archive" }, may);

      expect(await countsOf(db, "agent_transformation_events")).toEqual({});
      const kept =
        await db`select parent_event_id from agent_transformation_events_2026_03_archived order by occurred_at`;
      expect(kept).toEqual([{ parentEventId: null }, { parentEventId: old.id }]);
      expect(await db`select from router_performance_metrics_2026_03_archived`).toHaveLength(1);
    });
  });

  test("it gives up soon where another holds what it needs, and has changed nothing", async () => {
    await database(async (db, env) => {
      const release = Promise.withResolvers<void>();
      const holds = Promise.withResolvers<void>();
      const other = connect(env);
      const holding = other.begin(async (tx) => {
        await decision(tx, "2026-05-05 12:00:00+00");
        holds.resolve();
        await release.promise;
      });
      await holds.promise;
      await expect(keepPartitions(db, ACTOR, settings, may)).rejects.toMatchObject({ code: "55P03" });
      release.resolve();
      await holding;
      await other.end();
      expect(await countsOf(db, "router_performance_metrics")).toEqual({ router_performance_metrics_default: 1 });

      await keepPartitions(db, ACTOR, settings, may);

      expect(await countsOf(db, "router_performance_metrics")).toEqual({ router_performance_metrics_2026_05: 1 });
    });
  });
});

async function decision(db: Db, at: string): Promise<void> {
  await db`
    insert into router_performance_metrics (
      routing_id, routed_at, task_id, request_hash, work_type, total_routing_time_us, strategy, reason, alternatives, cache_hit
    ) values (${randomUUID()}, ${at}, ${randomUUID()}, ${Buffer.alloc(32)}, 'code.run', 50, 'none', 'no agent', '[]', false)
  `;
}

type Event = { id: string; at: string };

async function event(db: Pool, at: string, parent?: Event): Promise<Event> {
  const id = randomUUID();
  await db`
    insert into agent_transformation_events (
      event_id, occurred_at, parent_event_id, parent_occurred_at, task_id, correlation_id, session_id, source_agent,
      target_agent, event_type, context_snapshot
    ) values (
      ${id}, ${at}, ${parent?.id ?? null}, ${parent?.at ?? null}, ${randomUUID()}, ${randomUUID()}, ${randomUUID()}, 'code',
      'infra', 'handover', '{}'
    )
  `;
  return { id, at };
}

async function countsOf(db: Pool, table: string): Promise<Record<string, number>> {
  const rows = await db<{ name: string; rows: number }[]>`
    select tableoid::regclass::text as name, count(*)::int as rows from ${db(table)} group by 1 order by 1
  `;
  return Object.fromEntries(rows.map(({ name, rows: count }) => [name, count]));
}
