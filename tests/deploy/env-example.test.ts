import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const example = readFileSync(".env.example", "utf8").split("\n");
const explained = example.flatMap((line) => /^#([A-Z][A-Z0-9_]+)=/.exec(line)?.[1] ?? []);

const sources = globSync("{lib,functions,agents,localstack,bin,cli}/**/*.ts").map((file) => readFileSync(file, "utf8"));
const compose = ["docker-compose.yml", "docker-compose.rabbitmq.yml"]
  .map((file) => readFileSync(file, "utf8"))
  .join("");
const NAME = "[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+";

/** What the code reads: its settings, the keys of its zod schemas of the environment, and what it looks up by name. */
const read = new Set(
  sources.flatMap((text) => [
    ...[
      ...text.matchAll(new RegExp(`\\b(${NAME}): ?(?:z\\b|integer\\(|whole\\(|number\\(|[A-Z][a-z]\\w+\\.)`, "g")),
    ].map(([, name]) => name),
    ...[...text.matchAll(new RegExp(`\\benv: "(${NAME})"`, "g"))].map(([, name]) => name),
    ...[...text.matchAll(new RegExp(`(?:process\\.env|source|env)\\["(${NAME})"\\]`, "g"))].map(([, name]) => name),
  ]),
);

/** Set by Lambda, serverless-offline, the terminal or the code agent, never by a person. */
const NOT_CONFIGURED = ["AWS_LAMBDA_RUNTIME_API", "IS_OFFLINE", "NO_COLOR", "AWS_DEFAULT_REGION", "WAYBILL_COMMAND"];

test("every variable that the code reads is explained", () => {
  const unexplained = [...read].filter(
    (name) => !explained.includes(name ?? "") && !NOT_CONFIGURED.includes(name ?? ""),
  );

  expect(read.size).toBeGreaterThan(25);
  expect([...read]).toEqual(
    expect.arrayContaining([
      "DATABASE_URL",
      "AGENT_QUEUES",
      "LEASE_SECONDS",
      "AGENT_QUEUE_URL",
      "OUTPUT_RESPONSE_BYTES",
    ]),
  );
  expect(unexplained).toEqual([]);
});

test("every variable that is explained is read by the code, by compose or by the AWS SDK", () => {
  const llm = readFileSync("llm.config.yaml", "utf8");

  const unread = explained.filter(
    (name) =>
      !read.has(name) && !compose.includes(`\${${name}:-`) && !llm.includes(`env:${name}`) && !name.startsWith("AWS_"),
  );
  expect(explained.length).toBeGreaterThan(35);
  expect(unread).toEqual([]);
});

/** Compose gives them a default of its own, which their words say. */
const OTHERWISE_IN_COMPOSE = ["OLLAMA_BASE_URL", "PICKUP_SECONDS"];

test("every variable that compose takes from .env is explained, with the default that it has there, where that is not the code's", () => {
  const taken = [...compose.matchAll(/\$\{(\w+):-([^}]*)\}/g)].map(([, name = "", value = ""]) => ({ name, value }));
  const own = taken.filter(({ name, value }) => value !== "" && !OTHERWISE_IN_COMPOSE.includes(name));

  expect(taken.filter(({ name }) => !explained.includes(name))).toEqual([]);
  expect(own.length).toBeGreaterThan(10);
  expect(own.filter(({ name, value }) => !example.includes(`#${name}=${value}`))).toEqual([]);
});

test("every variable has a line of explanation above it", () => {
  const bare = example.filter((line, index) => {
    const above = example[index - 1] ?? "";
    return /^#[A-Z][A-Z0-9_]+=/.test(line) && !above.startsWith("# ") && !/^#[A-Z][A-Z0-9_]+=/.test(above);
  });

  expect(bare).toEqual([]);
});
