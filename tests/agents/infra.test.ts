import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tryPort } from "../../localstack/parts/ports.ts";
import { ask, listen, spawnAgent, type TestAgent, testFolder } from "../support/agents/agent.ts";

const folder = testFolder();
const heard = listen();
let agent: TestAgent;
const server = createServer((request, response) => {
  if (request.url === "/never") return;
  // The agent registers here too, which this is not.
  response.writeHead(Number(request.url?.slice(1)) || 503, { location: "/500" }).end("body");
});
let port = 0;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
  agent = await spawnAgent("agents/infra.ts", "infra", {
    WAYBILL_AGENT_DATA: folder,
    WAYBILL_API_URL: `http://127.0.0.1:${port}`,
  });
});
afterAll(async () => {
  await agent.crash();
  server.closeAllConnections();
  server.close();
});

async function check(targets: object[], more: object = {}) {
  const asked = await ask("infra", "infra.check", { targets, ...more });
  return { asked, result: await heard.result(asked) };
}

test("targets that answer complete, one step each with its duration", async () => {
  const url = (path: string) => `http://127.0.0.1:${port}${path}`;
  const { asked, result } = await check([
    { http: url("/200") },
    { http: url("/503"), expect_status: 503 },
    { http: url("/302") },
    { tcp: `127.0.0.1:${port}` },
    { disk: folder, min_free_gb: 0 },
    // A path is one of the API that the agent knows.
    { http: "/200" },
  ]);

  expect(result).toMatchObject({ status: "completed", metrics: { targets: 6, failed: 0, steps: 6 } });
  const ends = heard.steps(asked).filter(({ status }) => status === "completed");
  expect(new Map(ends.map(({ step_number, action }) => [step_number, action]))).toEqual(
    new Map([
      [1, `http ${url("/200")}`],
      [2, `http ${url("/503")}`],
      [3, `http ${url("/302")}`],
      [4, `tcp 127.0.0.1:${port}`],
      [5, `disk ${folder}`],
      [6, `http ${url("/200")}`],
    ]),
  );
  expect(ends.every(({ duration_ms }) => typeof duration_ms === "number")).toBe(true);
});

test("any target that fails fails the result, which names it and says why", async () => {
  const closed = await tryPort(0);
  const { asked, result } = await check(
    [
      { http: `http://127.0.0.1:${port}/200` },
      { http: `http://127.0.0.1:${port}/500` },
      { http: `http://127.0.0.1:${port}/200`, expect_status: 204 },
      { http: `http://127.0.0.1:${port}/never` },
      { http: `http://127.0.0.1:${closed}/` },
      { tcp: `127.0.0.1:${closed}` },
      { disk: join(folder, "missing") },
      { disk: folder, min_free_gb: 1e9 },
    ],
    { timeout_seconds: 0.5 },
  );

  expect(result.status).toBe("failed");
  expect(result.metrics).toMatchObject({ targets: 8, failed: 7 });
  const reason = result.error_message ?? "";
  expect(reason).toMatch(/^7 of 8 targets failed: /);
  expect(reason).toContain(`http http://127.0.0.1:${port}/500 (status 500)`);
  expect(reason).toContain("(status 200, expected 204)");
  expect(reason).toContain("/never (no answer within 0.5 s)");
  expect(reason).toContain(`tcp 127.0.0.1:${closed} (ECONNREFUSED)`);
  expect(reason).toContain(`http http://127.0.0.1:${closed}/ (ECONNREFUSED)`);
  expect(reason).toContain("missing (ENOENT)");
  expect(reason).toMatch(/GB free, 1000000000 wanted/);
  expect(heard.steps(asked).filter(({ status }) => status === "failed").length).toBe(7);
});

test.each([
  [[], "targets must not be empty"],
  [[{ http: "file:///etc/passwd" }], "targets.0"],
  [[{ tcp: "no-port" }], "targets.0"],
  [[{ icmp: "127.0.0.1" }], "targets.0"],
])("targets %j are refused", async (targets, field) => {
  const { result } = await check(targets);

  expect(result.status).toBe("failed");
  expect(result.error_message).toContain("5004 invalid_parameters");
  expect(result.error_message).toContain(field);
});
