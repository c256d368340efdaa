import { afterAll, beforeEach, expect, test } from "vitest";
import { keepHeard } from "../../lib/registry/heard.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { TEAM } from "../support/database/actor.ts";

const db = connect();
beforeEach(async () => {
  await db`delete from agent_presence`;
});
afterAll(async () => {
  await db.end();
});

const speaker = (agent: string) => ({ teamId: TEAM, agent });

const seen = async () =>
  await db`
  select agent_name, seen_at > now() - interval '5 s' as just_now, instance from agent_presence order by agent_name
`;

test("what agents say is a sign of life of those that are active, and leaves the instance as it was", async () => {
  await db`insert into agent_presence (agent_name, seen_at, instance) values ('code', now() - interval '1 day', 'host-1')`;

  await keepHeard(900, Date.now)(db, ["research", "code", "research", "nobody", "orchestrator"].map(speaker));

  expect(await seen()).toEqual([
    { agentName: "code", justNow: true, instance: "host-1" },
    { agentName: "orchestrator", justNow: true, instance: null },
    { agentName: "research", justNow: true, instance: null },
  ]);
});

test("an agent is kept at most every tenth of the time that it may be silent, by all instances together", async () => {
  let now = Date.now();
  const [keep, another] = [keepHeard(900, () => now), keepHeard(900, () => now)];
  await keep(db, [speaker("code")]);
  await db`update agent_presence set seen_at = now() - interval '80 s'`;

  await another(db, [speaker("code")]);
  expect(await seen()).toMatchObject([{ justNow: false }]);
  await db`update agent_presence set seen_at = now() - interval '100 s'`;
  await keep(db, [speaker("code")]);
  expect(await seen()).toMatchObject([{ justNow: false }]);

  now += 91_000;
  await keep(db, [speaker("code")]);
  expect(await seen()).toMatchObject([{ justNow: true }]);
});

test("where nobody is ever silent nothing is kept", async () => {
  await keepHeard(0, Date.now)(db, [speaker("code")]);

  expect(await seen()).toEqual([]);
});
