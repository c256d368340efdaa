import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DEFAULT_TEAM, system } from "../../lib/access/actor.ts";
import { chainAudit } from "../../lib/access/audit/chain.ts";
import { listEvents } from "../../lib/access/audit/read.ts";
import { verify } from "../../lib/access/audit/verify.ts";
import { keepPartitions } from "../../lib/router/series.ts";
import { connect, type Pool } from "../../lib/runtime/postgres/db.ts";
import { inTeam } from "../../lib/wiring/team.ts";
import { ownerNamed } from "../support/http/owner.ts";

// The record's months, made and ended as the functions do it: by a login that owns nothing.

const db = connect();
const login = `app_${randomUUID().slice(0, 8)}`;
let app: Pool;
const SYSTEM = system("sweep", DEFAULT_TEAM);
const NOW = new Date("2026-06-15T00:00:00Z");
const settings = { retentionMonths: 12, auditMonths: 2, expired: "drop" as const };
const keep = async (more: object = {}) => await keepPartitions(app, SYSTEM, { ...settings, ...more }, NOW);

beforeAll(async () => {
  await db`create role ${db(login)} login in role waybill_system, waybill_team`;
  const url = new URL(process.env["DATABASE_URL"] ?? "");
  url.username = login;
  app = connect({ ...process.env, DATABASE_URL: url.href });
  await db`alter table audit_events disable trigger user`;
  await db`delete from audit_events`;
  await db`alter table audit_events enable trigger user`;
});
afterAll(async () => {
  await app.end();
  await db`drop role ${db(login)}`;
  await db.end();
});

/** Something that was done at a time, which lies in the default partition where its month has none. */
const happened = async (at: string) =>
  void (await db`
    insert into audit_events (team_id, actor_kind, actor, action, object_kind, object_id, at, audit_id, source_ip)
    values (${DEFAULT_TEAM}, 'system', 'test', 'switch.set', 'switch', ${at}, ${at}, ${idAt(at)}, '192.0.2.7')
  `);
const idAt = (at: string) => {
  const millis = Date.parse(at).toString(16).padStart(12, "0");
  return `${millis.slice(0, 8)}-${millis.slice(8)}-7000-8000-000000000000`;
};
const where = async () =>
  (
    await db<{ text: string }[]>`select tableoid::regclass || ' ' || object_id as text from audit_events order by at`
  ).map(({ text }) => text);
const told = async () => {
  const { items, head } = await listEvents(db, SYSTEM, { limit: 1000 });
  return { items, verdict: verify(items, head) };
};

test("what the default partition has caught goes to its month, and the chain holds", async () => {
  for (const month of ["03", "04", "05"]) await happened(`2026-${month}-02T00:00:00.000Z`);
  await chainAudit(db, SYSTEM, 1_000, 0);
  expect((await where()).every((text) => text.startsWith("audit_events_default "))).toBe(true);

  const { made } = await keep({ auditMonths: 12 });

  expect(made).toEqual(
    expect.arrayContaining(["audit_events_2026_03", "audit_events_2026_06", "audit_events_2026_07"]),
  );
  expect(await where()).toEqual(
    ["03", "04", "05"].map((month) => `audit_events_2026_${month} 2026-${month}-02T00:00:00.000Z`),
  );
  expect((await told()).verdict).toMatchObject({ checked: 3, broken: null });
  expect((await told()).items[0]).toMatchObject({ source_ip: "192.0.2.7" });
});

test("a month that is too old goes, or is kept apart, and the chain holds from the first that is left", async () => {
  expect((await keep({ auditMonths: 2, expired: "archive" })).ended).toEqual(["audit_events_2026_03"]);
  expect(await db`select object_id from audit_events_2026_03_archived`).toHaveLength(1);
  expect((await told()).verdict).toMatchObject({ checked: 2, from: 2, broken: null });

  expect((await keep({ auditMonths: 1 })).ended).toEqual(["audit_events_2026_04"]);
  expect((await db`select to_regclass('audit_events_2026_04_archived') as there`)[0]).toEqual({ there: null });
  expect((await told()).verdict).toMatchObject({ checked: 1, from: 3, broken: null });
  expect((await keep({ auditMonths: 1 })).ended).toEqual([]);
});

test("that login does nothing else to the months, and a team does not even that", async () => {
  await expect(app`drop table audit_events_2026_05`).rejects.toMatchObject({ code: "42501" });
  await expect(app`delete from audit_events`).rejects.toMatchObject({ code: "42501" });
  for (const series of ["tasks", "pg_class", "audit_events; drop table tasks"])
    await expect(app`select end_series_month(${series}, '2026-05-01', false)`).rejects.toMatchObject({ code: "42P01" });
  const asTeam = inTeam(
    { db },
    ownerNamed("ada"),
    async (tx) => await tx`select make_series_month('audit_events', '2026-01-01')`,
  );
  await expect(asTeam).rejects.toMatchObject({ code: "42501" });
});
