import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { system } from "../../../lib/access/actor.ts";
import { foundTeam, listTeams } from "../../../lib/access/operator/teams.ts";
import { uuidv7 } from "../../../lib/runtime/ids.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";

const db = connect();
afterAll(async () => await db.end());
const actor = system("test");
const name = () => `t-${randomUUID().slice(0, 8)}`;

test("a team is made with an owner, and a key of that one", async () => {
  const team = name();

  const made = await foundTeam(db, actor, { name: team, owner: "ada@acme.example", keyId: uuidv7() });

  expect(made).toMatchObject({ name: team, owner: "ada@acme.example", key: expect.stringMatching(/^wb_/) });
  const found = (await listTeams(db, actor)).filter(({ team_id }) => team_id === made.team_id);
  expect(found).toMatchObject([{ name: team, members: 1, keys: 1, created_at: expect.any(Date) }]);
});

test("one person may own two teams", async () => {
  const [one, two] = [name(), name()];

  for (const team of [one, two]) await foundTeam(db, actor, { name: team, owner: "grace", keyId: uuidv7() });

  const memberships = await db`select role from team_memberships join users using (user_id) where users.name = 'grace'`;
  expect(memberships.map(({ role }) => role)).toEqual(["owner", "owner"]);
});

test("a name that is taken is a conflict, and nobody joins that team", async () => {
  const team = name();
  await foundTeam(db, actor, { name: team, owner: "ada", keyId: uuidv7() });

  await expect(foundTeam(db, actor, { name: team, owner: "eve", keyId: uuidv7() })).rejects.toMatchObject({
    status: 409,
  });

  expect(await db`select 1 from users where name = 'eve'`).toEqual([]);
});

test.for([
  ["Acme Inc", "ada", "A team's name is lower-case"],
  [name(), "key:ada", "An owner's name is at most 200 characters"],
] as const)("a team %s of %s is refused in words", async ([team, owner, words]) => {
  const founded = db.begin(async (tx) => await foundTeam(tx, actor, { name: team, owner, keyId: uuidv7() }));

  await expect(founded).rejects.toMatchObject({ status: 400, message: expect.stringContaining(words) });
  expect((await listTeams(db, actor)).map((one) => one.name)).not.toContain(team);
});
