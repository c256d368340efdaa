import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { main } from "../../cli/main.ts";
import { linkOf } from "../../lib/access/audit/link.ts";
import { newKey, newPrefix } from "../../lib/access/keys/secret.ts";
import { keyFile, readKey, writeKey } from "../../localstack/parts/keys.ts";
import { testFolder } from "../support/agents/agent.ts";

// The command's own part: what it makes of words, of the environment and of answers. tests/e2e/cli.test.ts has it call a real stack.

type Asked = { method: string; url: string; authorization: string | undefined; body: any };

let asked: Asked[] = [];
let answers: { status: number; body: unknown }[] = [];
const server = createServer((request, response) => void answer(request, response));
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const { method = "", url = "", headers } = request;
  const body = parts.length === 0 ? undefined : JSON.parse(Buffer.concat(parts).toString());
  asked.push({ method, url, authorization: headers.authorization, body });
  const next = answers.shift() ?? { status: 200, body: { items: [], next_cursor: null } };
  response.writeHead(next.status).end(JSON.stringify(next.body));
}
beforeAll(async () => await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => server.close());

let out = "";
let err = "";
const dataDir = testFolder();
const KEY = newKey(newPrefix());
beforeEach(() => {
  vi.stubEnv("WAYBILL_URL", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  vi.stubEnv("WAYBILL_API_KEY", KEY);
  vi.stubEnv("WAYBILL_DATA", dataDir);
  [asked, answers, out, err] = [[], [], "", ""];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean((out += String(text))));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((err += String(text))));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const made = {
  key_id: "1",
  name: "ci",
  prefix: KEY.slice(0, 15),
  kind: "service",
  user: null,
  agent: null,
  role: "member",
};

test("a key that is made is all that stdout gets; whose it is goes to stderr", async () => {
  answers = [{ status: 201, body: { ...made, key: KEY } }];

  const words = "keys create ci --service --role viewer --scopes work:read,llm:use --requests-per-second 2.5";
  expect(await main(words.split(" "))).toBe(0);

  expect(out).toBe(`${KEY}\n`);
  expect(err).toContain("The key ci, of a service, member. It is not shown again.");
  expect(asked).toMatchObject([
    {
      method: "POST",
      url: "/keys",
      authorization: `Bearer ${KEY}`,
      body: { name: "ci", kind: "service", role: "viewer", scopes: ["work:read", "llm:use"], requests_per_second: 2.5 },
    },
  ]);
});

test("--json prints what was answered, and nothing else", async () => {
  answers = [{ status: 201, body: { ...made, key: KEY } }];

  expect(await main(["keys", "create", "ci", "--agent", "code", "--json"])).toBe(0);

  expect(JSON.parse(out)).toEqual({ ...made, key: KEY });
  expect(asked[0]?.body).toMatchObject({ kind: "agent", agent: "code" });
});

test("when a key ends is said as a time, or as how long it is until then", async () => {
  for (const expires of ["2999-01-01T00:00:00Z", "90d"]) await main(["keys", "create", "ci", "--expires", expires]);

  expect(asked[0]?.body.expires_at).toBe("2999-01-01T00:00:00.000Z");
  expect(Math.abs(Date.parse(asked[1]?.body.expires_at) - Date.now() - 90 * 86_400_000)).toBeLessThan(60_000);
});

test("all pages of a list are shown", async () => {
  answers = [
    { status: 200, body: { items: [{ ...made, name: "one" }], next_cursor: "c 1" } },
    { status: 200, body: { items: [{ ...made, name: "two" }], next_cursor: null } },
  ];

  await main(["keys", "list"]);

  expect(out).toMatch(/one [^]*two /);
  expect(asked.map(({ url }) => url)).toEqual([
    "/keys?revoked=false&limit=100",
    "/keys?revoked=false&limit=100&cursor=c+1",
  ]);
});

test.for([
  [401, 6],
  [403, 6],
  [409, 7],
  [400, 2],
  [404, 1],
  [500, 1],
] as const)("an answer %d ends with %d, in the API's words", async ([status, exit]) => {
  answers = [{ status, body: { detail: "Do that instead.", errors: [{ field: "name", message: "must be short" }] } }];

  expect(await main(["members", "set", "ada", "admin"])).toBe(exit);

  expect([out, err]).toEqual(["", expect.stringContaining("Do that instead.\n  name must be short")]);
});

test("an answer that is no problem of ours is told as it is", async () => {
  answers = [{ status: 502, body: "bad gateway" }];

  expect(await main(["members", "list"])).toBe(1);

  expect(err).toContain('GET /members?limit=100 was answered with 502: "bad gateway"');
});

test.for([
  ["an unknown option", ["keys", "list", "--al"]],
  ["an unknown command", ["keys", "make"]],
  ["an unknown subject", ["kyes"]],
  ["a missing word", ["keys", "revoke"]],
  ["a word too many", ["keys", "revoke", "a", "b"]],
  ["a value that is none", ["keys", "create", "a", "--role", "king"]],
  ["a number that is none", ["keys", "create", "a", "--bytes-per-day", "many"]],
  ["a time that is none", ["keys", "create", "a", "--expires", "soon"]],
  ["no word at all", []],
] as const)("%s is wrong use, and nothing is asked", async ([, words]) => {
  expect(await main(words)).toBe(2);

  expect([out, asked]).toEqual(["", []]);
  expect(err).not.toBe("");
});

test("a whole key among the words is refused without being said again", async () => {
  expect(await main(["keys", "revoke", KEY])).toBe(2);

  expect(err).toContain(`Name the key by what it begins with, ${KEY.slice(0, 15)}`);
  expect(err + out).not.toContain(KEY);
  expect(asked).toEqual([]);
});

test("an id or a prefix is a key's before it is another one's name; a name of two is refused with both", async () => {
  const [id, prefix] = ["01a2302f-babd-71b7-9dd7-748112411fc3", "wb_abcdefghijkl"];
  const named = (name: string, key_id: string) => ({ ...made, name, key_id, prefix: `wb_${key_id}`, revoked_at: null });
  const items = [
    named(id, "2"),
    named(prefix, "3"),
    named("twin", "4"),
    named("twin", "5"),
    { ...made, key_id: id, prefix },
  ];
  const revoke = async (word: string) => {
    answers = [
      { status: 200, body: { items, next_cursor: null } },
      { status: 200, body: made },
    ];
    return await main(["keys", "revoke", word]);
  };

  expect([await revoke(id), await revoke(prefix)]).toEqual([0, 0]);
  expect(asked.filter(({ method }) => method === "DELETE").map(({ url }) => url)).toEqual([
    `/keys/${id}`,
    `/keys/${id}`,
  ]);
  expect(await revoke("twin")).toBe(2);
  expect(err).toMatch(/twin.* 2 keys.*wb_4 \(4\).*wb_5 \(5\)/s);
  expect(asked.filter(({ method }) => method === "DELETE")).toHaveLength(2);
});

test("a value of WAYBILL_API_KEY that is no key is not said again", async () => {
  vi.stubEnv("WAYBILL_API_KEY", "pasted-by-mistake");

  expect(await main(["keys", "list"])).toBe(1);

  expect(err).toContain("WAYBILL_API_KEY must be a key");
  expect(err).not.toContain("pasted-by-mistake");
});

test("the key of the data folder goes to this machine, and to no other", async () => {
  vi.stubEnv("WAYBILL_API_KEY", "");
  writeKey(keyFile(dataDir), KEY);

  expect(await main(["keys", "list"])).toBe(0);
  expect(asked[0]?.authorization).toBe(`Bearer ${KEY}`);

  vi.stubEnv("WAYBILL_URL", "https://waybill.example.com");
  expect(await main(["keys", "list"])).toBe(6);
  expect(err).toContain("There is no key for https://waybill.example.com. Set WAYBILL_API_KEY");
});

test("rotating the key of the data folder leaves the new one there", async () => {
  vi.stubEnv("WAYBILL_API_KEY", "");
  writeKey(keyFile(dataDir), KEY);
  const next = newKey(KEY.slice(0, 15));
  answers = [
    { status: 200, body: { items: [made], next_cursor: null } },
    { status: 200, body: { ...made, key: next } },
  ];

  expect(await main(["keys", "rotate", "ci", "--grace", "1d"])).toBe(0);

  expect(asked[1]).toMatchObject({ url: "/keys/1/rotate", body: { grace_seconds: 86_400 } });
  expect(readKey(join(dataDir, "key"))).toBe(next);
});

test("where nothing answers it says what to start", async () => {
  vi.stubEnv("WAYBILL_URL", "http://127.0.0.1:1");

  expect(await main(["members", "list"])).toBe(1);

  expect(err).toContain("http://127.0.0.1:1 does not answer. Start a stack (npm start), or set WAYBILL_URL.");
});

test("help goes to stdout", async () => {
  expect(await main(["keys", "create", "--help"])).toBe(0);

  expect([out, err]).toEqual([expect.stringContaining("Usage: waybill keys create"), ""]);
});

test("audit verify recomputes the chain here, and names the first link that does not hold", async () => {
  const event = { audit_id: "a", actor: "ada", action: "work.approved", chain_seq: 1 };
  const hash = linkOf("", event);
  const serve = (line: object) => {
    const page = { items: [{ ...line, hash }], next_cursor: null, head: { chain_seq: 1, hash } };
    answers = [page, page].map((body) => ({ status: 200, body }));
  };

  serve(event);
  expect(await main(["audit", "verify"])).toBe(0);
  expect(out).toBe(`1:${hash}\n`);
  serve(event);
  expect(await main(["audit", "verify", "--head", `1:${"0".repeat(64)}`])).toBe(1);
  expect(err).toContain("does not hold at 1 (audit_id a)");
  err = "";
  serve({ ...event, actor: "eve" });
  expect(await main(["audit", "verify"])).toBe(1);
  expect(err).toContain("the line was changed");
});

test("audit export prints lines that audit verify takes as a file", async () => {
  const event = { audit_id: "a", actor: "ada", action: "work.approved", chain_seq: 1 };
  const line = { ...event, hash: linkOf("", event) };
  answers = [{ status: 200, body: { items: [line], next_cursor: null, head: null } }];
  expect(await main(["audit", "export", "--action", "work.approved"])).toBe(0);
  expect(asked[0]?.url).toBe("/audit?action=work.approved&limit=1000");
  const file = join(dataDir, "audit.jsonl");
  writeFileSync(file, out);
  out = "";

  expect(await main(["audit", "verify", "--file", file])).toBe(0);
  expect(out).toBe(`1:${line.hash}\n`);
  expect(await main(["audit", "verify", "--file", join(dataDir, "none")])).toBe(2);
});
