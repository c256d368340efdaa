import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { wrongSettings } from "../../localstack/check-settings.ts";

const ROOT = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "waybill-settings-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What each variable is refused as, and with which words. */
const WRONG: readonly (readonly [variable: string, value: string, words: string])[] = [
  ["LEASE_SECONDS", "abc", 'must be a whole number from 1 to 3600; it is "abc"'],
  ["PICKUP_SECONDS", "0", "must be a whole number"],
  ["AGENT_IN_FLIGHT", "1e3", "must be a whole number"],
  ["OUTPUT_RESPONSE_BYTES", "1", "must be a whole number"],
  ["AGENT_CONCURRENCY", "0", 'must be a whole number from 1 to 100; it is "0"'],
  ["AGENT_QUEUE_PREFIX", "@ @", 'must be at most 40 letters, digits, _ and -; it is "@ @"'],
  ["AGENT_QUEUE_CREATE", "maybe", 'must be one of "true", "false"'],
  ["AGENT_QUEUES", "{", "must be JSON"],
  ["WORK_QUEUE_URL", "none", "must be the URL of a queue"],
  ["RESULTS_QUEUE_URL", "ftp://x", 'must be the URL of a queue, with http:// or https://; it is "ftp://x"'],
  ["AGENT_QUEUE_URL", "none", "must be the URL of this agent's queue"],
  ["AGENT_TRANSPORT", "pigeon", "must be one of"],
  ["AGENT_PRESENCE_SECONDS", "-1", "must be a number from 0"],
  ["AGENT_PRESENCE_EVERY_SECONDS", "0", "must be a whole number"],
  ["ROUTER_WEIGHTS", "1,1", "must be four numbers"],
  ["ROUTER_THRESHOLD", "2", "must be a number from 0 to 1"],
  ["ROUTER_FALLBACK_AGENT", "A B", "must be a lower-case name"],
  ["METRICS_EXPIRED", "burn", "must be one of"],
  ["METRICS_RETENTION_MONTHS", "0", "must be a whole number"],
  ["DATABASE_URL", "http://ada:secret@host/db", 'must start with postgres://; it is "http://…@host/db"'],
  ["DATABASE_POOL_MAX", "many", "must be a whole number"],
  ["DATABASE_PREPARE", "yes", "must be one of"],
  ["DATABASE_STATEMENT_TIMEOUT_MS", "5", "must be a whole number"],
  ["MIGRATIONS_DIR", "/nowhere", 'must be a folder; it is "/nowhere"'],
  ["AGENTS_DIR", "package.json", "must be a folder"],
  ["LLM_CONFIG", "/nowhere.yaml", "must be a file that can be read"],
  ["WAYBILL_API_KEY", "sk-pasted", "must be a key (wb_…) or a token of OIDC (a JWT); it is something else"],
  ["LOG_LEVEL", "loud", "must be one of"],
  ["WAYBILL_SWEEP_SECONDS", "x", "must be a number of seconds"],
  ["WAYBILL_API_URL", "ftp://x", "must be the URL"],
  ["WAYBILL_CODE_FOLDERS", "/nowhere", "/nowhere does not exist"],
  ["WAYBILL_CODE_COMMANDS", "a b", '"a b" is not a bare command name'],
  ["WAYBILL_CODE_OUTPUT_BYTES", "0", "must be a whole number"],
  ["RABBITMQ_URL", "http://x", "must be the broker's URL"],
  ["RABBITMQ_PREFIX", "a b#", 'must be at most 100 letters, digits and _ . : -; it is "a b#"'],
  ["BRIDGE_PORT", "99999", "must be a whole number"],
  ["BRIDGE_IN_HAND", "1", "must be a whole number"],
];

test.for(WRONG)("%s=%s is told with its name, what it takes, what it is, and what mends it", ([name, value, words]) => {
  const told = wrongSettings(ROOT, { [name]: value });

  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(new RegExp(`^${name}\\b`));
  expect(told[0]).toContain(words);
  expect(told[0]).toContain(`\n    unset ${name}`);
});

test.each([
  ["AGENT_QUEUES", '{"code":"http://x/a","c\\u006fde":"http://x/b"}', "must have each name once, and has code twice"],
  ["AGENT_QUEUES", '{"CODE":"http://x/a"}', "CODE must be a lower-case name"],
  ["AGENT_QUEUES", '{"code":"ftp://x/a"}', "code must be the URL of a queue"],
  ["OUTPUT_RESPONSE_BYTES", "100000000", "must be a whole number from 1024 to 4500000"],
  ["AGENT_QUEUE_URL", "ftp://x", "must be the URL of this agent's queue"],
])("%s=%s cannot be right either", (name, value, words) => {
  expect(wrongSettings(ROOT, { [name]: value })).toEqual([expect.stringContaining(`${name} ${words}`)]);
});

test("an agent that is to say less often that it is there than it may be silent is told, where both are set", () => {
  const told = (every: string, silent: string) =>
    wrongSettings(ROOT, { AGENT_PRESENCE_EVERY_SECONDS: every, AGENT_PRESENCE_SECONDS: silent });

  expect(told("60", "30")).toEqual([
    expect.stringMatching(
      /^AGENT_PRESENCE_EVERY_SECONDS must be below AGENT_PRESENCE_SECONDS, which is 30; it is "60"/,
    ),
  ]);
  expect([told("29", "30"), told("60", "0"), told("60", ""), told("", "30")]).toEqual([[], [], [], []]);
});

test("every wrong one is told at once, and nothing is wrong with what is empty or not set", () => {
  const all = Object.fromEntries(WRONG.map(([name, value]) => [name, value]));

  const told = wrongSettings(ROOT, all);

  expect(new Set(told.map((line) => /^\w+/.exec(line)?.[0]))).toEqual(new Set(Object.keys(all)));
  expect(told).toHaveLength(WRONG.length);
  expect(wrongSettings(ROOT, {})).toEqual([]);
  expect(wrongSettings(ROOT, Object.fromEntries(Object.keys(all).map((name) => [name, ""])))).toEqual([]);
});

test("every default that .env.example shows is right", () => {
  const example = readFileSync(join(ROOT, ".env.example"), "utf8").matchAll(/^#([A-Z_]+)=(.*)$/gm);

  expect(wrongSettings(ROOT, Object.fromEntries([...example].map(([, name, value]) => [name, value])))).toEqual([]);
});

test("a fault of the LLM configuration is told by file and line, with the variable that makes it", () => {
  const file = join(folder, "llm.yaml");
  writeFileSync(file, "providers: {}\nmodels: {}\nchains:\n  default: { models: [nobody] }\n");

  expect(wrongSettings(ROOT, { LLM_CONFIG: file })[0]).toMatch(/llm\.yaml:4 .*nobody.*\n {4}npm run llm:check/s);
  for (const value of ["nonsense", "http://[1"]) {
    expect(wrongSettings(ROOT, { OLLAMA_BASE_URL: value })).toEqual([
      expect.stringMatching(/^llm\.config\.yaml:\d+ .*must begin with http.*OLLAMA_BASE_URL makes it/),
    ]);
  }
});
