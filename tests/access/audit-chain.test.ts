import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import { type Caller, system } from "../../lib/access/actor.ts";
import { chainAudit, NO_TEAM } from "../../lib/access/audit/chain.ts";
import { listEvents } from "../../lib/access/audit/read.ts";
import { verify } from "../../lib/access/audit/verify.ts";
import { audit } from "../../lib/access/record.ts";
import { connect, type Db } from "../../lib/runtime/postgres/db.ts";
import { inTeam } from "../../lib/wiring/team.ts";
import { newTeam } from "../support/database/teams.ts";

const db = connect(undefined, undefined, { max: 4 });
const SWEEP = system("sweep");
let admin: Caller;
let teams = 0;

beforeEach(async () => {
  teams += 1;
  admin = await newTeam(db, `chained-${teams}`);
});

const did = async (on: Db = db, times = 1) => {
  for (let i = 0; i < times; i++) {
    const object = ["work", randomUUID()] as const;
    await audit(on, admin, { action: "work.approved", object, reason: 'ä "why"', details: { n: 1.5, before: null } });
  }
};
const chain = async () => await chainAudit(db, SWEEP, 10_000, 0);
const told = async () => await inTeam({ db }, admin, async (tx) => await listEvents(tx, admin, { limit: 1000 }));
const verdict = async () => {
  const { items, head } = await told();
  return verify(items, head);
};

/** Changes rows as only who owns the tables can: by switching off what guards them. */
async function tamper(run: (tx: Db) => Promise<unknown>): Promise<void> {
  await db.begin(async (tx) => {
    await tx`alter table audit_events disable trigger user`;
    await run(tx);
    await tx`alter table audit_events enable trigger user`;
  });
}

test("each event gets a place, the chain holds, and what has none yet is told", async () => {
  await did(db, 1201);
  await chain();
  await did(db, 2);

  const { items, head } = await inTeam({ db }, admin, async (tx) => {
    const all = await tx`select count(*)::int as n, max(chain_seq)::int as last from audit_events`;
    expect(all).toEqual([{ n: 1203, last: 1201 }]);
    return await listEvents(tx, admin, { limit: 2000 });
  });
  expect(verify(items, head)).toMatchObject({ checked: 1201, waiting: 2, from: 1, to: head, broken: null });
  expect(await chain()).toBe(2);
  expect(await chain()).toBe(0);
});

test("a changed, a removed, an inserted line and a cut end are named", async () => {
  await did(db, 6);
  await chain();
  const { items, head } = await told();
  expect(verify(items, head).broken).toBeNull();
  const at = (seq: number) => items.find((event) => event.chain_seq === seq)?.audit_id ?? null;

  const third = at(3);
  await tamper(async (tx) => await tx`update audit_events set actor = 'eve' where audit_id = ${third}`);
  expect((await verdict()).broken).toMatchObject({ chain_seq: 3, audit_id: third });
  await tamper(async (tx) => await tx`update audit_events set actor = ${admin.name} where audit_id = ${third}`);
  expect((await verdict()).broken).toBeNull();

  await tamper(
    async (tx) =>
      await tx`
        insert into audit_events (team_id, actor_kind, actor, action, object_kind, chain_seq, hash)
        values (${admin.team}, 'user', 'eve', 'work.approved', 'work', 4, sha256('x'))
      `,
  );
  expect((await verdict()).broken?.chain_seq).toBe(4);
  await tamper(async (tx) => await tx`delete from audit_events where team_id = ${admin.team} and actor = 'eve'`);

  await tamper(async (tx) => await tx`delete from audit_events where audit_id = ${at(6)}`);
  expect((await verdict()).broken).toMatchObject({ chain_seq: 6, audit_id: null });
  await tamper(async (tx) => await tx`delete from audit_events where audit_id = ${at(5)}`);
  await tamper(async (tx) => await tx`delete from audit_events where audit_id = ${at(2)}`);
  expect((await verdict()).broken).toMatchObject({ chain_seq: 2, audit_id: null });
});

test("a chain that was written anew does not have the head that was noted", async () => {
  await did(db, 3);
  await chain();
  const { head } = await told();
  await tamper(async (tx) => {
    await tx`update audit_events set actor = 'eve', chain_seq = null, hash = null where team_id = ${admin.team}`;
    await tx`delete from audit_chains where team_id = ${admin.team}`;
  });
  await chain();

  const { items } = await told();
  expect((await verdict()).broken).toBeNull();
  expect(verify(items, head).broken).toMatchObject({ chain_seq: 3 });
});

test("what came before the first line that is kept is not missed", async () => {
  await did(db, 4);
  await chain();
  const { items, head } = await told();
  const kept = items.filter(({ chain_seq }) => chain_seq !== null && chain_seq > 2);

  expect(verify(kept, head)).toMatchObject({ checked: 2, from: 3, broken: null });
});

test("sweeps at once give each event one place", async () => {
  await did(db, 800);
  const done = await Promise.all([chain(), chain(), chain()]);

  expect(done.reduce((sum, one) => sum + one, 0)).toBeGreaterThanOrEqual(800);
  await chain();
  expect(await verdict()).toMatchObject({ checked: 800, waiting: 0, broken: null });
});

test("an event that commits after later ones have their place gets the next, and one within the lag waits", async () => {
  const late = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const slow = db.begin(async (tx) => {
    await did(tx);
    begun.resolve();
    await late.promise;
  });
  await begun.promise;
  await sleep(5);
  await did(db, 2);
  await chain();
  late.resolve();
  await slow;
  expect(await chainAudit(db, SWEEP, 1_000, 60)).toBe(0);
  await chain();

  const { items } = await told();
  const places = items.toReversed().map(({ chain_seq }) => chain_seq);
  // Of two in one millisecond either may be the first.
  expect([places[0], ...places.slice(1).toSorted((a, b) => Number(a) - Number(b))]).toEqual([3, 1, 2]);
  expect(await verdict()).toMatchObject({ checked: 3, broken: null });
});

test("what is no team's has a chain of its own, and the system's role writes it", async () => {
  const stranger = { kind: "unknown", name: "unknown", team: null } as const;
  const sealed = db.begin(async (tx) => {
    await tx`set local role waybill_system`;
    await audit(tx, stranger, { action: "access.refused", object: ["call", "getWork"], reason: "key_unknown" });
    const done = await tx`
      update audit_events set chain_seq = 1000000, hash = sha256('') where chain_seq is null and team_id is null
    `;
    throw new Error(`undone: ${done.count > 0}`);
  });
  await expect(sealed).rejects.toThrow("undone: true");
  await audit(db, stranger, { action: "access.refused", object: ["call", "getWork"], reason: "key_unknown" });
  await chain();

  const [head] = await db`select chain_seq::int from audit_chains where team_id = ${NO_TEAM}`;
  const [last] = await db`select max(chain_seq)::int as chain_seq from audit_events where team_id is null`;
  expect(head).toEqual(last);
});
