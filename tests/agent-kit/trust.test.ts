import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { startAgent } from "../../lib/agent-kit/agent.ts";
import { readAgentEnv } from "../../lib/agent-kit/transports/env.ts";
import type { Message } from "../../lib/protocol/messages.ts";
import { isSignedBy, keyIdOf, publicKeyOf, type Sign, signingKeyOf, signWith } from "../../lib/protocol/signature.ts";
import { envelope, until } from "../support/agents/agent.ts";
import { agentKey, identityOf, SIGN } from "../support/agents/keys.ts";
import { overBoth } from "../support/queues/transports.ts";

vi.setConfig({ testTimeout: 60_000 });

// The API as far as agents ask it for keys.
let known: string[] = [];
let isAway = false;
let asked = 0;
const server = createServer((request, response) => {
  if (request.url !== "/.well-known/jwks.json" || isAway) return void response.writeHead(503).end("{}");
  asked += 1;
  const keys = known.map((secret) => publicKeyOf(signingKeyOf(secret)));
  const set = keys.map((key) => ({ kty: "OKP", crv: "Ed25519", kid: keyIdOf(key), x: key.toString("base64url") }));
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ keys: set }));
});
let url = "";
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

overBoth((queues, { probes, ask, listen }) => {
  const { done, dataOf, start } = probes();
  const heard = listen();
  beforeEach(async () => {
    await queues.empty("research");
    isAway = false;
  });

  /** A request for work that leaves a line, as somebody puts it on the queue who signs so. */
  const forge = async (name: string, sign: Sign | undefined, change: (message: object) => object = (same) => same) => {
    const payload = {
      task_id: randomUUID(),
      attempt: 1,
      work_type: "probe.tell",
      request_text: "please",
      parameters: { name },
      hints: {},
      lease_seconds: 60,
      timeout_seconds: 60,
      lease_token: "ab".repeat(32),
    };
    const message = { ...envelope("research"), type: "work_request", payload };
    await queues.put("research", JSON.stringify(change(sign === undefined ? message : sign(message))));
    return message;
  };
  const refusalOf = async ({ message_id }: { message_id: string }) =>
    await until("it is refused", () =>
      heard.heard.find(({ payload }) => "failed_message_id" in payload && payload.failed_message_id === message_id),
    );

  test("a request that the control plane has not signed is not done, and says so of no work; it becomes a dead letter", async () => {
    const agent = await start("forged");
    const other = signWith(signingKeyOf("somebody else's secret"));
    const forged = [
      await forge("unsigned", undefined),
      await forge("foreign", other),
      await forge("renamed", signWith(signingKeyOf("somebody else's secret"), idOf(SIGN))),
      await forge("changed", SIGN, (message) => JSON.parse(JSON.stringify(message).replace("please", "do more"))),
      await forge("by another agent's key", signWith(signingKeyOf(agentKey("research")), "wb_research0000")),
    ];
    for (const message of forged) {
      const refusal = await refusalOf(message);
      expect(refusal.payload).toMatchObject({ error_code: 5008 });
      expect(refusal.payload).not.toHaveProperty("task_id");
      expect(JSON.stringify(refusal)).not.toContain("abab");
    }
    const work = await ask("research", "probe.tell", { name: "real" });
    await heard.result(work);
    expect(done("real")).toBe(1);
    for (const name of ["unsigned", "foreign", "renamed", "changed", "by another agent's key"])
      expect(done(name)).toBe(0);
    await until("they are dead letters", async () => (await queues.deadLetters("research")).length >= 1);
    await agent.stop();
  });

  test("all that an agent says is signed with its key, and tells the token of its attempt", async () => {
    const agent = await start("signs");
    const work = await ask("research", "probe.tell", { name: "signed" }, { lease_token: "cd".repeat(32) });
    await heard.result(work);
    const key = publicKeyOf(signingKeyOf(agentKey("research")));
    const times = heard.of(work).map(({ timestamp }) => timestamp);
    expect(new Set(times).size).toBe(times.length);
    for (const message of heard.of(work)) {
      expect(message).toMatchObject({ key_id: "wb_research0000", payload: { lease_token: "cd".repeat(32) } });
      expect(isSignedBy(message, key)).toBe(true);
    }
    await agent.stop();
  });

  test("keys come from the API, a new one when it first signs, and are kept for a start while the API is away", async () => {
    const [first, second] = [`first secret ${randomUUID()}`, `second secret ${randomUUID()}`];
    known = [first];
    const own = { CONTROL_PLANE_KEYS: "", WAYBILL_API_URL: url };
    const agent = await start("rotates", own);
    await until("the first is done", async () => {
      const { payload } = await forge("one", signWith(signingKeyOf(first)));
      return await until("it is answered", () => resultOf(payload.task_id));
    });
    known = [second, first];
    const { payload } = await forge("two", signWith(signingKeyOf(second)));
    await until("what the new key signed is done", () => resultOf(payload.task_id));
    expect(statSync(join(dataOf("rotates"), "control-plane-keys.json")).mode & 0o777).toBe(0o600);
    await agent.stop();

    isAway = true;
    const again = await start("rotates", own);
    const { payload: third } = await forge("three", signWith(signingKeyOf(second)));
    await until("it is done without the API", () => resultOf(third.task_id));
    await again.stop();
    isAway = false;
  });

  test("an agent that has no keys yet takes nothing until the API answers", async () => {
    isAway = true;
    known = [`late secret ${randomUUID()}`];
    const agent = await start("waits", { CONTROL_PLANE_KEYS: "", WAYBILL_API_URL: url });
    const { payload } = await forge("late", signWith(signingKeyOf(known[0] ?? "")));
    await until("it says that it waits", () => agent.stderr().includes("the control plane's keys are not known"));
    expect(resultOf(payload.task_id)).toBeUndefined();
    isAway = false;
    await until("it is done", () => resultOf(payload.task_id));
    expect(asked).toBeGreaterThan(0);
    await agent.stop();
  });

  const resultOf = (taskId: string): Message | undefined =>
    heard.heard.find(({ type, payload }) => type === "work_result" && payload.task_id === taskId);
});

function idOf(sign: Sign): string {
  return sign({}).key_id ?? "";
}

test("an agent without a key of its own, or without a way to know the control plane, does not start, and says what to set", () => {
  const queue = { AGENT_QUEUE_URL: "http://127.0.0.1:9/q", RESULTS_QUEUE_URL: "http://127.0.0.1:9/r" };
  const begin = (env: NodeJS.ProcessEnv) => () =>
    startAgent({ name: "research", work: {} }, readAgentEnv(1, { ...queue, ...env }));
  const { WAYBILL_API_KEY } = identityOf("research");
  expect(begin({})).toThrow(/WAYBILL_API_KEY must be a key of this agent/);
  expect(begin({ WAYBILL_API_KEY: "aaa.bbb.ccc", WAYBILL_API_URL: url })).toThrow(/WAYBILL_API_KEY must be a key/);
  expect(begin({ WAYBILL_API_KEY })).toThrow(/WAYBILL_API_URL must be set, or CONTROL_PLANE_KEYS/);
});
