import { createHash, createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import { afterEach, beforeEach, expect, test } from "vitest";
import { handler as authorize } from "../../functions/access/authorize.ts";
import { handler as manage } from "../../functions/agents/manage-agent.ts";
import { handler as presence } from "../../functions/agents/report-presence.ts";
import { DEFAULT_TEAM, system } from "../../lib/access/actor.ts";
import { toContext } from "../../lib/access/identity/context.ts";
import { newKey, newPrefix } from "../../lib/access/keys/secret.ts";
import { putKey } from "../../lib/access/operator/put-key.ts";
import { uuidv7 } from "../../lib/runtime/ids.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { freePort } from "../../localstack/parts/ports.ts";
import { ask, listen, spawnAgent, type TestAgent, testFolder, until } from "../support/agents/agent.ts";
import { agentKey, knowAgents } from "../support/agents/keys.ts";
import { eventOf, seen } from "../support/http/http-event.ts";
import { ownerNamed } from "../support/http/owner.ts";

type Got = { method: string; path: string; headers: IncomingMessage["headers"]; body: string };

const db = connect();
const heard = listen();
let got: Got[] = [];
let server: Server | undefined;
let agent: TestAgent | undefined;
beforeEach(async () => {
  await db`truncate agent_definitions cascade`;
  await db`truncate agent_presence`;
  await knowAgents(db, ["infra"]);
  got = [];
});
afterEach(async () => {
  await agent?.crash();
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

/** The API's own functions behind a port, as API Gateway would put them. */
async function serve(port: number): Promise<void> {
  server = createServer((request, response) => {
    void (async () => {
      const { method = "", url = "", headers } = request;
      const body = await text(request);
      got.push({ method, path: url, headers, body });
      const [rawPath = "", rawQueryString = ""] = url.split("?");
      const pathParameters = { name: rawPath.split("/")[2] ?? "" };
      const handler = method === "PUT" ? manage : presence;
      const event = eventOf({ method, rawPath, rawQueryString, pathParameters, body });
      const answer = seen(await handler(await withCaller(event, headers.authorization)));
      response.writeHead(answer.status, answer.headers).end(answer.text);
    })();
  });
  await new Promise<void>((done) => server?.listen(port, "127.0.0.1", done));
}

/** With who calls: by the authorizer, or, as API Gateway knows itself, who has signed; where nobody says so, an owner. */
async function withCaller(event: APIGatewayProxyEventV2, authorization?: string): Promise<APIGatewayProxyEventV2> {
  const signed = { iam: { userArn: "arn:aws:iam::000000000000:user/infra", accountId: "000000000000" } };
  const known = authorization?.startsWith("Bearer ") ? await authorize({ headers: { authorization } }) : OWNER;
  const authorizer = authorization?.startsWith("AWS4") === true ? signed : { lambda: known.context };
  return { ...event, requestContext: { ...event.requestContext, authorizer } } as APIGatewayProxyEventV2;
}

const OWNER = { context: toContext({ caller: ownerNamed("ada"), until: null }) };

/** A real agent that ships, in a process of its own. */
async function start(env: Record<string, string>): Promise<void> {
  agent = await spawnAgent("agents/infra.ts", "infra", {
    WAYBILL_AGENT_DATA: testFolder(),
    AGENT_PRESENCE_EVERY_SECONDS: "1",
    ...env,
  });
}

const rows = async () => await db`select agent_name as name, active from agent_definitions`;
const seenAt = async () =>
  (
    await db<
      { seenAt: Date; instance: string }[]
    >`select seen_at, instance from agent_presence where agent_name = 'infra'`
  )[0];

async function doesWork(): Promise<void> {
  const asked = await ask("infra", "infra.check", { targets: [{ disk: "/", min_free_gb: 0 }] });
  expect(await heard.result(asked)).toMatchObject({ status: "completed" });
}

test("an agent puts its definition into the registry at its start, and says from then on that it is there", async () => {
  const port = await freePort();
  await serve(port);
  await start({ WAYBILL_API_URL: `http://127.0.0.1:${port}/` });

  const first = await until("it has been heard of", seenAt);
  await until("it is heard of again", async () => ((await seenAt())?.seenAt ?? 0) > first.seenAt);

  expect([...(await rows())]).toEqual([{ name: "infra", active: true }]);
  expect(first.instance).toMatch(new RegExp(`:${agent?.child.pid}$`));
  expect(got.filter(({ method }) => method === "PUT")).toHaveLength(1);
  const bearer = `Bearer ${agentKey("infra")}`;
  expect(got.every(({ headers }) => headers.authorization === bearer)).toBe(true);
});

test("it works while the API is away, says so once, and registers when the API is there", async () => {
  const port = await freePort();
  await start({ WAYBILL_API_URL: `http://127.0.0.1:${port}` });

  await doesWork();
  await until("it has said that nothing answers", () => agent?.stderr().includes("agent registered: unanswered"));
  expect([...(await rows())]).toEqual([]);
  await serve(port);
  await until("it is registered", async () => (await rows()).length === 1);
  await until("it is heard of", seenAt);

  expect(agent?.stderr().match(/agent registered: unanswered/g)).toHaveLength(1);
});

test("an agent that somebody has deactivated does not bring itself back, and works on what it was given", async () => {
  const port = await freePort();
  await serve(port);
  const path = { rawPath: "/agents/infra", pathParameters: { name: "infra" } };
  await manage(await withCaller(eventOf({ method: "PUT", body: "name: infra\n", ...path })));
  await manage(await withCaller(eventOf({ method: "DELETE", ...path })));
  await start({ WAYBILL_API_URL: `http://127.0.0.1:${port}` });

  await until("it was refused", () => agent?.stderr().includes("agent registered: refused"));
  await until("it went on", () => got.filter(({ method }) => method === "POST").length >= 2);
  await doesWork();

  expect([...(await rows())]).toEqual([{ name: "infra", active: false }]);
  expect(got.filter(({ method }) => method === "PUT")).toHaveLength(1);
  expect(agent?.stderr()).toContain("has been deactivated");
});

test("without an API it says so, and works", async () => {
  await start({ WAYBILL_API_URL: "" });

  await doesWork();

  expect(agent?.stderr().match(/agent not registered/g)).toHaveLength(1);
});

/** A key of this agent's. */
async function keyOf(agentName: string): Promise<string> {
  const made = { key: newKey(newPrefix()), keyId: uuidv7() };
  await putKey(db, system("test"), made, { team: DEFAULT_TEAM, name: `key-of-${agentName}`, agent: agentName });
  return made.key;
}

test("an agent registers by a key of its own, from the environment or from a file", async () => {
  const port = await freePort();
  await serve(port);
  const key = await keyOf("infra");
  const file = join(testFolder(), "key");
  writeFileSync(file, `${key}\n`);

  for (const given of [{ WAYBILL_API_KEY: key }, { WAYBILL_API_KEY: "", WAYBILL_API_KEY_FILE: file }]) {
    await db`truncate agent_presence`;
    await start({ WAYBILL_API_URL: `http://127.0.0.1:${port}`, ...given });
    await until("it is heard of", seenAt);
    await agent?.crash();
  }

  expect(new Set(got.map(({ headers }) => headers.authorization))).toEqual(new Set([`Bearer ${key}`]));
  expect([...(await rows())]).toEqual([{ name: "infra", active: true }]);
});

test("the key of another agent registers nothing, and the agent works", async () => {
  const port = await freePort();
  await serve(port);
  await start({ WAYBILL_API_URL: `http://127.0.0.1:${port}`, WAYBILL_API_KEY: await keyOf("code") });

  await until("it was refused", () => agent?.stderr().includes("agent registered: refused"));
  await doesWork();

  expect([...(await rows())]).toEqual([]);
  expect(await seenAt()).toBeUndefined();
});

test("calls to a deployment are signed with the agent's own credentials", async () => {
  const port = await freePort();
  await serve(port);
  await start({ WAYBILL_API_URL: `http://127.0.0.1:${port}`, WAYBILL_API_SIGN: "true" });

  await until("it is heard of", seenAt);

  expect(got.map(({ method }) => method).slice(0, 2)).toEqual(["PUT", "POST"]);
  for (const call of got) expect(call.headers.authorization).toBe(signatureOf(call));
});

/** AWS Signature Version 4, computed here from its specification. */
function signatureOf({ method, path, headers, body }: Got): string {
  const signed = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? "")?.[1] ?? "";
  const time = String(headers["x-amz-date"]);
  const region = process.env["AWS_REGION"] ?? "";
  const scope = [time.slice(0, 8), region, "execute-api", "aws4_request"];
  const sha = (data: string) => createHash("sha256").update(data).digest("hex");
  const hmac = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest();
  const [pathname = "", query = ""] = path.split("?");
  const lines = signed.split(";").map((name) => `${name}:${String(headers[name])}\n`);
  const request = [method, pathname, query, lines.join(""), signed, sha(body)].join("\n");
  const key = scope.reduce<string | Buffer>(hmac, `AWS4${process.env["AWS_SECRET_ACCESS_KEY"]}`);
  const toSign = ["AWS4-HMAC-SHA256", time, scope.join("/"), sha(request)].join("\n");
  const credential = `${process.env["AWS_ACCESS_KEY_ID"]}/${scope.join("/")}`;
  const signature = hmac(key, toSign).toString("hex");
  return `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signed}, Signature=${signature}`;
}
