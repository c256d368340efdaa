import { beforeAll, expect, test } from "vitest";
import { handler as authorize } from "../../functions/access/authorize.ts";
import { DEFAULT_TEAM, ROLES, type Role, SCOPES, type Scope, system } from "../../lib/access/actor.ts";
import { createKey, revokeKey } from "../../lib/access/keys/keys.ts";
import { CreateKey } from "../../lib/access/keys/schema.ts";
import type { Need } from "../../lib/access/may.ts";
import { uuidv7 } from "../../lib/runtime/ids.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { functions } from "../../lib/wiring/functions.ts";
import { routes } from "../../lib/wiring/routes.ts";
import { worldOf } from "../support/database/world.ts";
import { call, type Reply } from "../support/http/events.ts";

// Every route, asked by every kind of caller, through the authorizer and the function that serves it. What is asked for is not there
// or not valid, so that whoever is let in changes nothing.

type Who = { name: string; role?: Role; agent?: string; scopes: readonly Scope[] | null; refused?: string };

const callers: Who[] = [
  ...ROLES.map((role) => ({ name: role, role, scopes: null })),
  ...SCOPES.map((scope) => ({ name: `owner.${scope.replace(":", ".")}`, role: "owner" as const, scopes: [scope] })),
  { name: "owner.of.nothing", role: "owner", scopes: [] },
  { name: "another.team", role: "owner", scopes: null },
  { name: "agent", agent: "code", scopes: null },
  { name: "another.agent", agent: "infra", scopes: null },
  { name: "narrow.agent", agent: "code", scopes: ["llm:use"] },
  { name: "expired", role: "owner", scopes: null, refused: "key_expired" },
  { name: "revoked", role: "owner", scopes: null, refused: "key_revoked" },
];

const db = connect();
const keys = new Map<string, string>();

beforeAll(async () => {
  const [other] = await db<{ id: string }[]>`insert into teams (name) values ('other') returning team_id as id`;
  for (const { name, role, agent, scopes } of callers) {
    const actor = system("test", name === "another.team" ? (other?.id ?? "") : DEFAULT_TEAM);
    const kind = agent === undefined ? "service" : "agent";
    const wish = CreateKey.parse({ name, kind, role, agent, scopes });
    const made = await createKey(db, actor, { ...wish, keyId: uuidv7() });
    keys.set(name, made.key);
    if (name === "revoked") await revokeKey(db, actor, made.key_id);
  }
  await db`update api_keys set expires_at = now() where name = 'expired'`;
  keys.set("unknown", `wb_${"0".repeat(12)}_${"0".repeat(43)}`);
});

type Route = (typeof routes)[number];
const guarded = routes.filter((route) => route.access !== "open");

const PARAMS: Record<string, string> = { task_id: uuidv7(), key_id: uuidv7(), name: "code" };

type More = { params?: Record<string, string>; body?: object };

/** Asks a route with a key; undefined: without. The LLM gateway is asked as it is, all others as the authorizer says. */
async function ask(route: Route, key: string | undefined, more: More = {}): Promise<Reply> {
  const { handler } = (await import(`../../functions/${functions[route.function].room}/${route.function}.ts`)) as {
    handler: unknown;
  };
  const named = { ...PARAMS, ...more.params };
  const params = Object.fromEntries(
    [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => [name, named[name] ?? ""]),
  );
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => named[name] ?? "");
  const headers = key === undefined ? undefined : { authorization: `Bearer ${key}` };
  const wrong = ["POST", "PUT"].includes(route.method) ? { raw: '{"unknown_field":1}' } : {};
  const asked = { method: route.method, params, ...(more.body === undefined ? wrong : { body: more.body }) };
  if (headers === undefined || route.function === "llm-route")
    return await call(handler, path, { ...asked, as: null, headers: headers ?? {} });
  const { context } = await authorize({ headers });
  return await call(handler, path, { ...asked, headers, context });
}

/** What a caller who may not is told; undefined: it is let in. As the issue on access has it. */
function denial({ role, agent, scopes }: Who, need: Need, path: string): string | undefined {
  if (agent !== undefined) {
    if (need.agents === undefined) return "agent_not_allowed";
    if (need.agents === "themselves" && !(path.includes("/agents/{name}") && agent === PARAMS["name"]))
      return "other_agent";
  } else if (ROLES.indexOf(role as Role) < ROLES.indexOf(need.role)) return "role_too_low";
  return scopes === null || scopes.includes(need.scope) ? undefined : "scope_missing";
}

const ANONYMOUS = 'Bearer realm="waybill"';

/** What became of a call: who was let in may have asked for what is not there, and is no fault of ours. */
function verdict({ status, headers, json, text }: Reply): string {
  if (status >= 500) return `${status} ${text}`;
  if (status !== 401 && status !== 403) return "let in";
  const code = String(json?.error?.code ?? json?.code);
  return [status, code, headers["www-authenticate"] ?? ""].join(" ").trim();
}

const expected = (who: Who, need: Need, path: string): string => {
  if (who.refused !== undefined) return unknownAs(who.refused);
  const denied = denial(who, need, path);
  return denied === undefined ? "let in" : `403 ${denied}`;
};

const unknownAs = (code: string) => `401 ${code} ${ANONYMOUS}, error="invalid_token", error_description="${code}"`;

test.each(guarded.map((route) => [`${route.method} ${route.path}`, route] as const))("%s", async (_name, route) => {
  const seen: Record<string, string> = {};
  for (const { name } of callers) seen[name] = verdict(await ask(route, keys.get(name)));

  const need = route.access as Need;
  expect(seen).toEqual(Object.fromEntries(callers.map((who) => [who.name, expected(who, need, route.path)])));
  expect(verdict(await ask(route, keys.get("unknown")))).toBe(unknownAs("key_unknown"));
  expect(verdict(await ask(route, undefined))).toBe(`401 credentials_missing ${ANONYMOUS}`);
});

test("what is open asks nobody, and nothing else is open", () => {
  const open = routes.filter(({ access }) => access === "open").map(({ method, path }) => `${method} ${path}`);

  expect(open).toEqual(["GET /.well-known/jwks.json", "GET /health", "GET /openapi.json"]);
});

test("what is one team's is not there for another, whatever is asked about it", async () => {
  const world = worldOf(db);
  const task_id = await world.submit({ approval: "required" });
  const { key_id } = await createKey(db, system("test", DEFAULT_TEAM), {
    ...CreateKey.parse({ name: "theirs", kind: "service" }),
    keyId: uuidv7(),
  });
  const about = guarded.filter(({ path }) => /\{(task_id|key_id)\}/.test(path));
  const bodies: Record<string, object> = {
    handOverWork: { to_agent: "code", reason: "it is theirs" },
    giveFeedback: { score: 1 },
  };
  const seen: string[] = [];
  for (const route of about) {
    const { method, operation } = route;
    const body = method === "POST" ? { body: bodies[operation] ?? {} } : {};
    const { status } = await ask(route, keys.get("another.team"), { params: { task_id, key_id }, ...body });
    seen.push(`${operation} ${status}`);
  }

  expect(seen).toEqual(about.map(({ operation }) => `${operation} 404`));
  expect(
    (
      await ask(guarded.find(({ operation }) => operation === "getWork") as Route, keys.get("owner"), {
        params: { task_id },
      })
    ).status,
  ).toBe(200);
});
