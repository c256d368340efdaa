import { execFile } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { startGateway } from "../support/llm/gateway.ts";
import { run as runIn } from "./run.ts";

const { gateway, vendor } = await startGateway();
const db = connect();
const dir = mkdtempSync(join(tmpdir(), "waybill-llm-"));

afterAll(async () => {
  await gateway.stop();
  await vendor.stop();
  await db.end();
});

async function run(file: string, ...args: string[]): Promise<{ code: number; out: string }> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, out: stdout + stderr });
    });
  });
}

test("llm:compare puts the models of a chain side by side: delays, tokens, cost", async () => {
  const prompt = join(dir, "prompt.txt");
  writeFileSync(prompt, "compare yourselves");

  const { code, out } = await run(
    "bin/llm-compare.ts",
    "--prompt",
    prompt,
    "--chain",
    "x-fb-bad",
    "--url",
    gateway.url,
  );

  expect(code).toBe(0);
  expect(out).toMatch(/^model +first token +whole +in +out +tokens\/s +USD/);
  expect(out).toMatch(/^fb-bad .*temperature must be a number$/m);
  expect(out).toMatch(/^ok +\d+ ms +\d+ ms +20 +60 +[\d.]+ +0\.00014$/m);
  expect(vendor.of("fb-ok")[0]?.body.messages).toEqual([{ role: "user", content: "compare yourselves" }]);
});

test("llm:compare says how to start a gateway where none answers", async () => {
  const { code, out } = await run("bin/llm-compare.ts", "--prompt", "package.json", "--url", "http://127.0.0.1:9");

  expect([code, out]).toEqual([1, expect.stringMatching(/No gateway answers.*npm start/)]);
});

test("llm:check lists every fault with its line, and fails", async () => {
  const file = join(dir, "bad.yaml");
  writeFileSync(
    file,
    "providers: {}\nmodels:\n  a: { provider: none, id: x, window: 1 }\nchains:\n  c: { models: [ghost] }\n",
  );

  const { code, out } = await run("bin/llm-check.ts", file);

  expect(code).toBe(1);
  expect(out).toMatch(/bad\.yaml:3 {2}model a: no provider is named none/);
  expect(out).toMatch(/bad\.yaml:5 {2}chain c names ghost/);
  expect(out).toMatch(/2 faults/);
});

test.each([
  ["bin/llm-compare.ts", [], "Which prompt? Say --prompt FILE."],
  ["bin/llm-compare.ts", ["--prompt", "package.json", "--times", "0"], "--times must be a whole number of at least 1"],
  ["bin/llm-check.ts", ["a.yaml", "b.yaml"], "One file at a time, not also b.yaml."],
])("%s %j is wrong use", async (file, args, message) => {
  const { code, out } = await run(file, ...args);

  expect(code).toBe(2);
  expect(out).toMatch(new RegExp(`^${message.replaceAll(".", "\\.").replace("?", "\\?")}`));
  expect(out).toContain("\n\nUsage: npm run llm:");
});

test.each([
  ["bin/llm-check.ts", ["/no/such"]],
  ["bin/llm-compare.ts", ["--prompt", "/no/such"]],
])("%s names a file that cannot be read", async (file, args) => {
  const { code, out } = await run(file, ...args);

  expect([code, out]).toEqual([1, expect.stringMatching(/^\/no\/such cannot be read: ENOENT/)]);
});

test("llm:switch turns external calls off and on", async () => {
  expect(await run("bin/llm-switch.ts", "off", "too", "dear")).toEqual({
    code: 0,
    out: expect.stringMatching(
      /^Calls to external vendors are off\.\nDatabase 127\.0\.0\.1:\d+\/\w+, of DATABASE_URL\n$/,
    ),
  });
  expect(await db`select external, reason from llm_switch`).toEqual([{ external: false, reason: "too dear" }]);
  expect((await run("bin/llm-switch.ts", "on")).code).toBe(0);
  expect(await db`select external from llm_switch`).toEqual([{ external: true }]);
});

test("llm:switch turns whatever else is wrong in the environment", async () => {
  const wrong = { ROUTER_MARGIN: "much", LEASE_SECONDS: "-1", WORK_QUEUE_URL: "", AGENT_QUEUES: "{" };

  expect(await runIn("llm-switch", ["off"], wrong)).toMatchObject({ code: 0 });
  expect(await runIn("llm-switch", ["on"], wrong)).toMatchObject({ code: 0 });
});

test("llm:switch alone says how the switch stands and how to set it, and changes nothing", async () => {
  await db`delete from llm_switch`;
  const how = "Set it with: npm run llm:switch -- off|on [REASON]\n";

  const never = await run("bin/llm-switch.ts");
  expect(never).toEqual({ code: 0, out: `Calls to external vendors are on: nobody has set the switch yet.\n${how}` });
  expect(await db`select * from llm_switch`).toEqual([]);

  await db`insert into llm_switch (external, reason, changed_at) values (false, 'too dear', '2026-05-04T03:02:01Z')`;
  const off = "Calls to external vendors are off since 2026-05-04T03:02:01.000Z: too dear\n";
  expect(await run("bin/llm-switch.ts")).toEqual({ code: 0, out: off + how });
  expect(await db`select external from llm_switch`).toEqual([{ external: false }]);

  await run("bin/llm-switch.ts", "on");
  expect((await run("bin/llm-switch.ts")).out).toMatch(/^Calls to external vendors are on since \S+Z\.\n/);
});

test("llm:switch refuses another position, and says so where the database is away", async () => {
  expect(await run("bin/llm-switch.ts", "status")).toMatchObject({
    code: 2,
    out: expect.stringMatching(/^status is not a position of the switch\. .*off\|on/),
  });
  const url = process.env["DATABASE_URL"];
  process.env["DATABASE_URL"] = "postgres://waybill@127.0.0.1:9/waybill";
  const away = await run("bin/llm-switch.ts");
  process.env["DATABASE_URL"] = url;
  expect(away).toEqual({ code: 1, out: expect.stringMatching(/127\.0\.0\.1:9\/waybill does not answer/) });
});
