import { randomBytes } from "node:crypto";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { handler as manage } from "../../functions/agents/manage-agent.ts";
import { handler as migrate } from "../../functions/system/migrate.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { prepareDatabase } from "../../lib/wiring/database.ts";
import { run } from "../bin/run.ts";
import { eventOf, seen } from "../support/http/http-event.ts";

const db = connect();
let folder = "";
const folders: string[] = [];
beforeEach(async () => {
  await db`truncate agent_definitions cascade`;
  folder = mkdtempSync(join(tmpdir(), "waybill-agents-"));
  folders.push(folder);
});
afterAll(async () => {
  await db.end();
  for (const one of folders) rmSync(one, { recursive: true, force: true });
});

const write = (file: string, text: string) => writeFileSync(join(folder, file), text);
/** Syncs the folder; `err` is what it says after the database that it is about to change. */
const sync = async () => {
  const { err, ...told } = await run("agents-sync", [folder]);
  const [database, ...rest] = err.split("\n");
  expect(database).toMatch(/^Database 127\.0\.0\.1:\d+\/\w+, of DATABASE_URL$/);
  return { ...told, err: rest.join("\n") };
};

/** What any write to the registry would change. */
async function traces() {
  const rows = await db`
    select agent_name as name, agent_version as version, active, xmin::text, updated_at from agent_definitions order by 1, 2
  `;
  return { rows: [...rows], state: [...(await db`select revision, xmin::text from registry_state`)] };
}

test("a folder is stored, and again writes nothing", async () => {
  write("a.yaml", "name: anna\n");
  write("b.json", '{"name": "bert", "version": "2.0.0"}');
  write("notes.txt", "not a definition");

  const first = await sync();
  const before = await traces();
  const again = await sync();

  expect(first).toMatchObject({ code: 0, err: "" });
  const stored = `created    anna 1.0.0  ${folder}/a.yaml\ncreated    bert 2.0.0  ${folder}/b.json\n`;
  const noQueue = ["anna", "bert"].map(
    (name) => `no queue   ${name}  gets no work before it has one: PUT /agents/${name} finds or makes it\n`,
  );
  expect(first.out).toBe(stored + noQueue.join(""));
  expect(again.out.replaceAll("unchanged", "created  ")).toBe(first.out);
  expect(before.rows).toHaveLength(2);
  expect(await traces()).toEqual(before);
});

test("where queues may be made, a synced agent has one", async () => {
  const prefix = `t${randomBytes(5).toString("hex")}`;
  write("a.yaml", "name: anna\n");
  const env = { AGENT_QUEUE_CREATE: "true", AGENT_QUEUE_PREFIX: prefix };

  const { out } = await run("agents-sync", [folder], env);
  const before = await traces();
  const again = await run("agents-sync", [folder], env);

  expect(out).toMatch(new RegExp(`queue {6}anna {2}http\\S+/${prefix}-agent-anna\n`));
  expect(again.out).toBe(`unchanged  anna 1.0.0  ${folder}/a.yaml\n`);
  expect(await traces()).toEqual(before);
});

test("wrong settings of queues are all named before anything is stored", async () => {
  write("a.yaml", "name: anna\n");
  const env = { AGENT_QUEUE_CREATE: "yes", AGENT_QUEUE_PREFIX: "a b", AGENT_QUEUES: "{" };

  const { code, err } = await run("agents-sync", [folder], env);

  expect(code).toBe(1);
  for (const name of Object.keys(env)) expect(err).toContain(name);
  expect((await traces()).rows).toEqual([]);
});

test("only the file that changed is written; an older version in it comes back, and so does what was deactivated", async () => {
  write("a.yaml", "name: anna\nversion: 2.0.0\n");
  write("b.yaml", "name: bert\n");
  write("c.yaml", "name: cleo\n");
  await sync();
  await db`update agent_definitions set active = false where agent_name = 'cleo'`;
  const before = (await traces()).rows.find(({ name }) => name === "bert");
  write("a.yaml", "name: anna\nversion: 1.0.0\n");

  const { out } = await sync();

  expect(
    out
      .split("\n")
      .slice(0, 3)
      .map((line) => line.split(/\s+/).slice(0, 3).join(" ")),
  ).toEqual(["changed anna 1.0.0", "unchanged bert 1.0.0", "changed cleo 1.0.0"]);
  const { rows } = await traces();
  expect(rows.find(({ name }) => name === "bert")).toEqual(before);
  expect(rows.filter(({ active }) => active).map(({ name, version }) => `${name} ${version}`)).toEqual([
    "anna 1.0.0",
    "bert 1.0.0",
    "cleo 1.0.0",
  ]);
});

test("one bad file, and nothing of any is stored; every fault is told as file:line:column", async () => {
  write("a.yaml", "name: anna\n");
  write("b.yaml", "name: bert\nlimits:\n  rate: fast\nwings: 2\n");
  write("c.yaml", "name: anna\n");
  const before = await traces();

  const { code, out, err } = await sync();

  expect([code, out]).toEqual([1, ""]);
  expect(err.split("\n").slice(0, 4)).toEqual([
    `${folder}/b.yaml:3:3  limits.rate must be an object, not a string`,
    `${folder}/b.yaml:4:1  wings is not a known field`,
    `${folder}/c.yaml:1:1  name is that of ${folder}/a.yaml; an agent has one file`,
    "3 faults; nothing was stored. See docs/registry.md.",
  ]);
  expect(await traces()).toEqual(before);
});

test("a file that is not UTF-8 is refused, not stored with other letters", async () => {
  writeFileSync(join(folder, "a.yaml"), Buffer.from("name: anna\ndescription: caf\xe9\n", "latin1"));

  const { code, err } = await sync();

  expect([code, err.split("\n")[0]]).toEqual([1, `${folder}/a.yaml:1:1  is not UTF-8 text; save it as UTF-8`]);
});

test("a database that is away is said to be that, not a folder that cannot be read", async () => {
  write("a.yaml", "name: anna\n");

  const { code, err } = await run("agents-sync", [folder], { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" });

  expect(code).toBe(1);
  expect(err).toContain("The database at 127.0.0.1:1/none does not answer");
});

test.each([
  ["without a folder", [], 2, "Name one folder."],
  ["of a folder that is not there", ["/nowhere/at/all"], 1, "/nowhere/at/all cannot be read"],
])("a sync %s says what to do", async (_, args, exit, message) => {
  const { code, err } = await run("agents-sync", args);

  expect(code).toBe(exit);
  expect(err).toContain(message);
});

test("an empty folder is a mistake, not a registry without agents", async () => {
  const { code, err } = await sync();

  expect(code).toBe(1);
  expect(err).toContain("has no definitions");
});

test("migrate stores the agents that ship, and again writes nothing", async () => {
  await migrate({ command: "up" });
  const before = await traces();
  await migrate({});

  expect(before.rows.map(({ name, active }) => `${name} ${active}`)).toEqual([
    "code true",
    "desktop true",
    "infra true",
    "orchestrator true",
    "research true",
  ]);
  expect(await traces()).toEqual(before);
});

test("what ships leaves alone what somebody has deactivated or replaced by a higher version", async () => {
  cpSync("agents/code.yaml", join(folder, "code.yaml"));
  cpSync("agents/infra.yaml", join(folder, "infra.yaml"));
  vi.stubEnv("AGENTS_DIR", folder);
  await prepareDatabase();
  await db`update agent_definitions set active = false where agent_name = 'infra'`;
  const body = "name: code\nversion: 7.0.0\n";
  const event = eventOf({ method: "PUT", rawPath: "/agents/code", pathParameters: { name: "code" }, body });
  expect(seen(await manage(event)).status).toBe(200);
  const before = await traces();

  const synced = await prepareDatabase();

  expect(synced.map(({ name, outcome }) => [name, outcome])).toEqual([
    ["code", "left"],
    ["infra", "left"],
  ]);
  expect(await traces()).toEqual(before);
});

test("where queues may not be made, the answer names the one that is missing and how to make it", async () => {
  const event = eventOf({
    method: "PUT",
    rawPath: "/agents/anna",
    pathParameters: { name: "anna" },
    body: "name: anna\n",
  });

  const { status, json } = seen(await manage(event));

  expect(status).toBe(201);
  expect(json.queue).toMatchObject({ url: null, status: "missing" });
  expect(json.queue.todo).toContain("There is no queue waybill-agent-anna.");
  expect(json.queue.todo).toContain("aws sqs create-queue --queue-name waybill-agent-anna ");
});
