import { randomBytes } from "node:crypto";
import { DeleteQueueCommand, GetQueueAttributesCommand, GetQueueUrlCommand } from "@aws-sdk/client-sqs";
import fc from "fast-check";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { sqs } from "../../lib/runtime/aws/sqs.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { worldOf } from "../support/database/world.ts";
import { expectConforms } from "../support/http/conform.ts";
import { eventOf, type Seen, seen } from "../support/http/http-event.ts";

// Read when the functions are loaded; the SQS is shared with other test files, so the queues have a name of their own.
const prefix = `t${randomBytes(5).toString("hex")}`;
// Several connections, so that calls at once meet in the database.
vi.stubEnv("DATABASE_POOL_MAX", "6");
vi.stubEnv("AGENT_QUEUE_CREATE", "true");
vi.stubEnv("AGENT_QUEUE_PREFIX", prefix);
const { handler: manage } = await import("../../functions/agents/manage-agent.ts");
const { handler: getOne } = await import("../../functions/agents/get-agent.ts");
const { handler: list } = await import("../../functions/agents/list-agents.ts");
const { handler: presence } = await import("../../functions/agents/report-presence.ts");

const db = connect();
beforeEach(async () => {
  await db`delete from agent_definitions where agent_name like 'w%'`;
  await db`delete from agent_presence where agent_name like 'w%'`;
});
afterAll(async () => {
  await db.end();
});

type Parts = NonNullable<Parameters<typeof eventOf>[0]>;

async function ask(handler: unknown, method: string, path: string, more: Parts = {}): Promise<Seen> {
  const name = path.split("/")[2];
  const params = name === undefined ? {} : { pathParameters: { name } };
  const event = eventOf({ method, rawPath: path, ...params, ...more });
  const answer = seen(await (handler as (event: unknown) => Promise<object>)(event));
  expectConforms(method, path, answer);
  return answer;
}

const put = (name: string, body: string, more: Parts = {}) => ask(manage, "PUT", `/agents/${name}`, { body, ...more });
const get = (name: string) => ask(getOne, "GET", `/agents/${name}`);
const remove = (name: string) => ask(manage, "DELETE", `/agents/${name}`);
const older = { rawQueryString: "allow_older=true" };

const YAML = "name: writer\nversion: 1.2.0\ntriggers: [write a poem]\ncapabilities: [poems]\nwork_types: [text.*]\n";

/** What a change of anything in the registry would change. */
async function traces() {
  const rows = await db`select agent_name, agent_version, xmin::text, updated_at from agent_definitions order by 1, 2`;
  const [state] = await db`select revision from registry_state`;
  return { rows: [...rows], state };
}

test("a definition in YAML is stored as a new agent, and the same again writes nothing", async () => {
  const created = await put("writer", YAML, { headers: { "content-type": "application/yaml" } });
  const before = await traces();
  const again = await put("writer", `# the same\n${YAML}`);

  expect(created.status).toBe(201);
  expect(created.headers["location"]).toBe("/agents/writer");
  expect(created.json).toMatchObject({ name: "writer", version: "1.2.0", active: true, changed: true });
  expect(again.status).toBe(200);
  expect(again.json).toMatchObject({ changed: false, hash: created.json.hash });
  expect(await traces()).toEqual(before);
});

test("JSON and base64, as API Gateway sends what it does not know as text, are the same definition", async () => {
  const json = JSON.stringify({
    name: "writer",
    version: "1.2.0",
    triggers: ["write a poem"],
    capabilities: ["poems"],
    work_types: ["text.*"],
  });

  const first = await put("writer", json, { headers: { "content-type": "application/json" } });
  const second = await put("writer", Buffer.from(YAML).toString("base64"), { isBase64Encoded: true });

  expect(first.status).toBe(201);
  expect(second.json).toMatchObject({ changed: false, hash: first.json.hash });
});

test("a changed definition of the same version is changed in place, another version becomes the active one", async () => {
  await put("writer", YAML);
  const changed = await put("writer", YAML.replace("a poem", "an ode"));
  const next = await put("writer", YAML.replace("1.2.0", "1.10.0"));

  expect(changed.json).toMatchObject({
    changed: true,
    version: "1.2.0",
    definition: { triggers: [{ phrase: "write an ode" }] },
  });
  expect(next.json).toMatchObject({ changed: true, version: "1.10.0" });
  expect(next.json.versions).toMatchObject([
    { version: "1.10.0", active: true },
    { version: "1.2.0", active: false },
  ]);
});

test("an older version takes no newer one's place unless that is said", async () => {
  await put("writer", YAML.replace("1.2.0", "1.10.0"));
  const before = await traces();
  const refused = await put("writer", YAML);
  const after = await traces();
  const forced = await put("writer", YAML, older);

  expect(refused.json).toMatchObject({ status: 409, code: "older_version", detail: expect.stringContaining("1.10.0") });
  expect(after).toEqual(before);
  expect(forced.json).toMatchObject({ version: "1.2.0", active: true });
});

test("what an agent has shown goes over to its next version", async () => {
  await put("writer", YAML);
  await db`update agent_definitions set success_rate = 0.75, quality_score = 0.5, avg_execution_time_ms = 1200 where agent_name = 'writer'`;

  const next = await put("writer", YAML.replace("1.2.0", "2.0.0"));

  expect(next.json).toMatchObject({ success_rate: 0.75, quality_score: 0.5, avg_execution_time_ms: 1200 });
});

test("a bad definition is refused with line, column and field, and nothing is stored", async () => {
  const before = await traces();

  const refused = await put("writer", "name: writer\nlimits:\n  concurrency: many\n");

  expect(refused.json).toMatchObject({
    status: 400,
    code: "invalid_definition",
    detail: "The definition is not valid. line 3, column 3: limits.concurrency must be a number, not a string.",
    errors: [{ field: "limits.concurrency", line: 3, column: 3, message: "must be a number, not a string" }],
  });
  expect(await traces()).toEqual(before);
});

test("the name in the path and in the definition are the same", async () => {
  const refused = await put("weaver", YAML);

  expect(refused.json).toMatchObject({
    status: 400,
    errors: [{ field: "name", message: expect.stringContaining("weaver") }],
  });
});

test("work never goes to the orchestrator", async () => {
  const before = await traces();

  const refused = await put("orchestrator", "name: orchestrator\nversion: 2.0.0\nroutable: true\n");

  expect(refused.json).toMatchObject({ status: 400, errors: [{ field: "routable", line: 3 }] });
  expect(await traces()).toEqual(before);
});

test("a new agent's queue is made with a dead letter queue, once", async () => {
  const created = await put("writer", YAML);
  const url = created.json.queue.url as string;
  const next = await put("writer", YAML.replace("1.2.0", "1.3.0"));

  expect(url).toMatch(new RegExp(`${prefix}-agent-writer$`));
  expect(created.json.queue).toEqual({ url, status: "ready", todo: null });
  expect(next.json.queue.url).toBe(url);
  const { Attributes = {} } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["All"] }));
  expect(JSON.parse(Attributes["RedrivePolicy"] ?? "{}")).toMatchObject({
    deadLetterTargetArn: expect.stringMatching(new RegExp(`${prefix}-agent-writer-dlq$`)),
  });
});

test("an agent may have the name of what every object has", async () => {
  const created = await put("constructor", YAML.replace("writer", "constructor"));
  const answered = await get("constructor");
  await remove("constructor");
  await db`delete from agent_definitions where agent_name = 'constructor'`;

  const url = expect.stringMatching(`/${prefix}-agent-constructor$`) as string;
  expect(created.json.queue).toEqual({ url, status: "ready", todo: null });
  expect(answered.json.queue).toEqual(created.json.queue);
});

test("the queue that a definition names by URL is its queue", async () => {
  const created = await put("writer", `${YAML}queue: https://sqs.eu-central-1.amazonaws.com/1/own\n`);

  expect(created.json.queue).toEqual({
    url: "https://sqs.eu-central-1.amazonaws.com/1/own",
    status: "ready",
    todo: null,
  });
});

test("an agent that is deleted is inactive, has its history, and comes back by PUT", async () => {
  await put("writer", YAML);
  const deleted = await remove("writer");
  const again = await remove("writer");
  const unheard = await ask(presence, "POST", "/agents/writer/presence");
  const back = await put("writer", YAML);

  expect(deleted.json).toMatchObject({ active: false, version: "1.2.0" });
  expect(again.status).toBe(200);
  expect(unheard.status).toBe(404);
  expect(back).toMatchObject({ status: 200, json: { active: true, changed: true } });
});

test("a process that starts again does not bring back what somebody has deactivated", async () => {
  const gently = { rawQueryString: "reactivate=false" };
  const first = await put("writer", YAML, gently);
  await remove("writer");
  const before = await traces();

  const refused = await put("writer", YAML, gently);

  expect(first.status).toBe(201);
  expect(refused.json).toMatchObject({ status: 409, code: "agent_deactivated" });
  expect(await traces()).toEqual(before);
});

test.each([
  ["GET", getOne],
  ["DELETE", manage],
])("%s of an agent that never was is 404", async (method, handler) => {
  const answer = await ask(handler, method, "/agents/wizard");

  expect(answer.json).toMatchObject({ status: 404, code: "agent_not_found" });
});

test("presence is kept, with and without a body, and told of an unknown agent; a definition that is stored is none", async () => {
  await put("writer", YAML);
  const silent = await get("writer");
  const bare = await ask(presence, "POST", "/agents/writer/presence");
  const named = await ask(presence, "POST", "/agents/writer/presence", {
    body: JSON.stringify({ instance: "host-1" }),
  });
  const present = await get("writer");
  const unknown = await ask(presence, "POST", "/agents/wizard/presence", { body: "{}" });

  expect(silent.json.presence).toEqual({ present: false, seen_at: null, instance: null });
  expect([bare.status, named.status, unknown.status]).toEqual([200, 200, 404]);
  expect(present.json.presence).toEqual({ present: true, seen_at: named.json.seen_at, instance: "host-1" });
});

test("agents are listed by name, by capability, by work type and by whether they are active", async () => {
  await put("writer", YAML);
  await put("weaver", "name: weaver\ncapabilities: [cloth]\n");
  await remove("weaver");
  const names = async (rawQueryString: string) => {
    const { json } = await ask(list, "GET", "/agents", { rawQueryString });
    return json.items.map(({ name }: { name: string }) => name);
  };

  expect(await names("")).toEqual(["code", "desktop", "infra", "orchestrator", "research", "weaver", "writer"]);
  expect(await names("active=false")).toEqual(["weaver"]);
  expect(await names("capability=poems")).toEqual(["writer"]);
  expect(await names("work_type=text.poem&active=true")).toEqual(["writer"]);
  expect(await names("work_type=code.run&active=true")).toEqual(["code"]);
});

test("a page goes on where the one before ended", async () => {
  const first = await ask(list, "GET", "/agents", { rawQueryString: "limit=3" });
  const second = await ask(list, "GET", "/agents", { rawQueryString: `limit=3&cursor=${first.json.next_cursor}` });

  expect(first.json.items.map(({ name }: { name: string }) => name)).toEqual(["code", "desktop", "infra"]);
  expect(second.json.items.map(({ name }: { name: string }) => name)).toEqual(["orchestrator", "research"]);
  expect(second.json.next_cursor).toBeNull();
  for (const limit of ["0x5", "1e1", "%205", "101"]) {
    const refused = await ask(list, "GET", "/agents", { rawQueryString: `limit=${limit}` });
    expect([limit, refused.status]).toEqual([limit, 400]);
  }
});

test("an agent of hundreds of versions and thousands of work types is answered with the latest, how many there are, and pages", async () => {
  await put("writer", YAML);
  await db`
    insert into agent_definitions (
      definition_id, agent_name, agent_version, yaml_config, parsed_metadata, capabilities, triggers, definition_hash, active, routable,
      created_at, updated_at
    )
    select gen_random_uuid(), agent_name, '0.' || n || '.0-' || repeat('x', 80), yaml_config, parsed_metadata, capabilities, triggers,
      definition_hash, false, routable, now() - interval '1 day', now() - make_interval(days => 1, secs => (n / 2))
    from agent_definitions, generate_series(1, 300) as n where agent_name = 'writer'
  `;
  await db`
    insert into agent_performance (agent_name, work_type, weight, observed_at)
    select 'writer', repeat('x', 90) || n, 1, now() - make_interval(secs => n) from generate_series(1, 5000) as n
  `;

  const { status, json } = await get("writer");
  expect([status, json.counts]).toEqual([200, { versions: 301, work_types: 5000 }]);
  expect([json.versions.length, json.performance.length]).toEqual([100, 200]);
  expect(json.versions[0]).toMatchObject({ version: "1.2.0", active: true });
  const found: object[] = [];
  for (let cursor = ""; ; ) {
    const page = await ask(getOne, "GET", "/agents/writer/versions", { rawQueryString: `limit=100${cursor}` });
    expect(page.status).toBe(200);
    found.push(...page.json.items);
    if (page.json.next_cursor === null) break;
    cursor = `&cursor=${page.json.next_cursor}`;
  }
  expect(found.slice(0, 100)).toEqual(json.versions);
  expect(new Set(found.map((one: any) => one.version)).size).toBe(301);
  expect(found).toHaveLength(301);
  expect((await ask(getOne, "GET", "/agents/wizard/versions")).status).toBe(404);
  await db`delete from agent_performance where agent_name = 'writer'`;
});

test("a page of agents with large definitions ends before it is larger than an answer can be", async () => {
  const types = Array.from({ length: 200 }, (_, n) => `type${n}.${"x".repeat(90)}`);
  const globs = Array.from({ length: 100 }, (_, n) => `${n}/${'"'.repeat(90)}`);
  const given = { work_types: types, routing: { files: globs } };
  await put("wide", JSON.stringify({ name: "wide", ...given }));
  await db`
    insert into agent_definitions (
      definition_id, agent_name, agent_version, yaml_config, parsed_metadata, capabilities, triggers, definition_hash, active, routable
    )
    select gen_random_uuid(), 'wide-' || n, agent_version, yaml_config, jsonb_set(parsed_metadata, '{name}', to_jsonb('wide-' || n)),
      capabilities, triggers, definition_hash, true, true
    from agent_definitions, generate_series(1, 200) as n where agent_name = 'wide'
  `;

  const found: string[] = [];
  let pages = 0;
  for (let cursor = ""; ; ) {
    const page = await ask(list, "GET", "/agents", { rawQueryString: `limit=100${cursor}` });
    expect([page.status, page.json.detail]).toEqual([200, undefined]);
    found.push(...page.json.items.map(({ name }: { name: string }) => name));
    pages += 1;
    if (page.json.next_cursor === null) break;
    cursor = `&cursor=${page.json.next_cursor}`;
  }
  expect(pages).toBeGreaterThan(1);
  expect(found.filter((name) => name.startsWith("wide"))).toHaveLength(201);
});

test("a queue that refuses what waits for it is not ready, and what to do is said", async () => {
  const world = worldOf(db);
  await put("writer", YAML);
  world.queues.refuse = Object.assign(new Error("gone"), { name: "QueueDoesNotExist" });
  await world.submit({ to_agent: "writer", work_type: "text.poem" });
  await world.dispatch();
  const refused = await get("writer");
  const { json } = await ask(list, "GET", "/agents");
  delete world.queues.refuse;
  await db`update outbox set send_after = now()`;
  await world.leftovers();

  const told = {
    status: "undeliverable",
    todo: expect.stringMatching(/^A message to writer cannot be delivered: its queue .* does not exist\. Make it/),
  };
  expect(refused.json.queue).toMatchObject(told);
  expect(json.items.find(({ name }: { name: string }) => name === "writer").queue).toEqual(refused.json.queue);
  expect((await get("writer")).json.queue).toMatchObject({ status: "ready", todo: null });
  await db`truncate tasks cascade`;
});

test("a PUT of the same definition makes the queue again that SQS has lost", async () => {
  const created = await put("writer", YAML);
  await sqs.send(new DeleteQueueCommand({ QueueUrl: created.json.queue.url as string }));
  const world = worldOf(db);
  world.queues.refuse = Object.assign(new Error("gone"), { name: "QueueDoesNotExist" });
  await world.submit({ to_agent: "writer", work_type: "text.poem" });
  await world.dispatch();

  const again = await put("writer", YAML);

  expect(again.json).toMatchObject({ changed: false, queue: { url: created.json.queue.url } });
  const asked = new GetQueueUrlCommand({ QueueName: (created.json.queue.url as string).split("/").at(-1) });
  expect((await sqs.send(asked)).QueueUrl).toBe(created.json.queue.url);
  await db`truncate tasks cascade`;
});

test("whatever the body, it is refused or stored, and never a fault of ours", async () => {
  const field = fc.constantFrom(
    "version",
    "triggers",
    "work_types",
    "limits",
    "cost",
    "queue",
    "presence",
    "routing",
    "x",
  );
  const near = fc.dictionary(field, fc.jsonValue()).map((rest) => JSON.stringify({ name: "wild", ...rest }));
  const text = fc.string({ unit: "binary" }).map((more) => `name: wild\ndescription: ${more}`);

  await fc.assert(
    fc.asyncProperty(fc.oneof(near, text, fc.string({ unit: "binary" })), async (body) => {
      const { status, json } = await put("wild", body, older);

      const placed = status !== 400 || json.errors.every(({ line, column }: any) => line >= 1 && column >= 1);
      expect([[200, 201, 400].includes(status), placed]).toEqual([true, true]);
    }),
    { numRuns: 200 },
  );
});

test("of many versions that are put at once one is active, and each is there", async () => {
  const versions = Array.from({ length: 12 }, (_, index) => `1.${index}.0`);

  const answers = await Promise.all(versions.map((version) => put("writer", YAML.replace("1.2.0", version), older)));

  expect(answers.map(({ status }) => status).filter((status) => status === 201)).toHaveLength(1);
  const rows = await db<{ active: boolean }[]>`select active from agent_definitions where agent_name = 'writer'`;
  expect(rows).toHaveLength(versions.length);
  expect(rows.filter(({ active }) => active)).toHaveLength(1);
});

test("a change of a definition is a new revision of the registry; what an agent has shown is none", async () => {
  const revision = async () =>
    Number((await db<{ revision: string }[]>`select revision from registry_state`)[0]?.revision);
  const start = await revision();
  await put("writer", YAML);
  const stored = await revision();
  await db`update agent_definitions set success_rate = 0.5 where agent_name = 'writer'`;
  const shown = await revision();
  await remove("writer");

  expect(stored).toBeGreaterThan(start);
  expect(shown).toBe(stored);
  expect(await revision()).toBeGreaterThan(shown);
});
