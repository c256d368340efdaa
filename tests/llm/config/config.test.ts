import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseConfig } from "../../../lib/llm/config/config.ts";
import { priced } from "../../../lib/llm/config/prices.ts";
import type { Surroundings } from "../../../lib/llm/config/schema.ts";

const around = (env: Record<string, string> = {}): Surroundings => ({ env, secrets: false, priced });

/** A configuration with one line changed: `line` counts from 1. */
function read(text: string, env: Record<string, string> = { KEY: "k" }) {
  const parsed = parseConfig(text, around(env));
  return parsed.ok ? { config: parsed.config, warnings: parsed.warnings } : { faults: parsed.faults };
}

const good = `providers:
  a: { type: anthropic, base_url: "https://api.anthropic.com", key: "\${env:KEY}" }
  b: { type: openai, base_url: "https://api.openai.com/v1", key: "\${env:KEY}" }
  o: { type: openai, base_url: "http://127.0.0.1:11434/v1", local: true }
models:
  claude: { provider: a, id: claude-sonnet-4-5, window: 200000, can: [tools, vision] }
  gpt: { provider: b, id: gpt-5, window: 400000, can: [tools] }
  llama: { provider: o, id: llama3.1, window: 131072, can: [tools], price: 0 }
chains:
  main: { models: [claude, rest], promises: { window: 100000, can: [tools] } }
  rest:
    models:
      - gpt
      - llama
    promises: { window: 100000 }
`;

test("the configuration that ships is sound, without keys and with them", () => {
  const text = readFileSync("llm.config.yaml", "utf8");

  const bare = read(text, {});
  const keyed = read(text, { ANTHROPIC_API_KEY: "x", OPENAI_API_KEY: "y" });

  expect(bare.config?.chains.get("default")?.models.map(({ name }) => name)).toEqual(["llama"]);
  expect(bare.warnings?.map(({ message }) => message.split(":")[0])).toEqual([
    "provider anthropic is left out",
    "provider openai is left out",
  ]);
  expect(keyed.config?.chains.get("default")?.models.map(({ name }) => name)).toEqual(["claude", "gpt", "llama"]);
});

test("a chain within a chain stands for its models", () => {
  expect(
    read(good)
      .config?.chains.get("main")
      ?.models.map(({ name }) => name),
  ).toEqual(["claude", "gpt", "llama"]);
});

test.each([
  ["an unregistered model", good.replace("- gpt", "- ghost"), 13, /rest names ghost, which is not registered/],
  ["a cycle", good.replace("- gpt", "- main"), 10, /chain main leads back to itself: main → rest → main/],
  ["an unresolvable key", good.replace("env:KEY", "env:NOPE"), 2, /environment has no NOPE/],
  ["a key in the file", good.replace('"${env:KEY}"', "sk-secret"), 2, /does not belong into a file/],
  ["a model without a price", good.replace("id: gpt-5,", "id: my-own,"), 7, /gpt has no price/],
  ["a local model without its zero", good.replace(", price: 0", ""), 8, /llama has no price/],
  ["a smaller window", good.replace("131072", "8000"), 10, /promises a window of 100000 tokens, but llama has 8000/],
  [
    "a missing capability",
    good.replace("window: 400000, can: [tools]", "window: 400000"),
    10,
    /promises tools, which gpt lacks/,
  ],
  ["an unknown provider", good.replace("provider: b", "provider: bb"), 7, /no provider is named bb/],
  [
    "an unknown setting",
    good.replace("window: 131072", "windows: 1, window: 131072"),
    8,
    /windows is not a known setting/,
  ],
  ["a wrong type", good.replace("400000", "big"), 7, /models.gpt.window/],
  ["text that is not YAML", `${good}  bad: [`, 16, /./],
])("%s is refused with its line", (_name, text, line, message) => {
  const { faults = [] } = read(text);

  expect(faults[0]?.message).toMatch(message);
  expect(faults[0]?.line).toBe(line);
});

test("a name that is there twice is a fault beside the others", () => {
  const text = good.replace("- llama", "- ghost").replace("models:\n", "models:\n  gpt: {}\n");

  expect(read(text).faults?.map(({ message }) => message)).toEqual([
    expect.stringMatching(/is there twice/),
    expect.stringMatching(/names ghost/),
  ]);
});

test("a chain with the name of the model that it begins with is told, however others name it", () => {
  const { faults = [] } = read(`${good}  gpt: { models: [gpt, llama] }\n`);

  expect(faults.map(({ message }) => message)).toEqual([
    expect.stringMatching(/gpt is the name of a model and of a chain/),
    expect.stringMatching(/chain gpt leads back to itself: gpt → gpt/),
  ]);
});

test("every fault is listed at once, those of shape and those of meaning", () => {
  const text = good.replace("400000", "big").replace("env:KEY", "env:NOPE").replace("- llama", "- ghost");

  expect(read(text).faults?.map(({ line }) => line)).toEqual([2, 7, 14]);
});

test("what every object has is no name of a model, a provider or an agent", () => {
  const text = good.replace("- llama", "- constructor").replace("provider: b", "provider: toString");

  expect(read(text).faults?.map(({ message }) => message)).toEqual([
    expect.stringMatching(/no provider is named toString/),
    expect.stringMatching(/names constructor, which is not registered/),
  ]);
  expect(read(good).config?.budgets.agents["constructor"]).toBeUndefined();
});

test("a bad request can be given to no other vendor", () => {
  const text = good.replace("models: [claude, rest],", "models: [claude, rest], on: { bad_request: next },");

  expect(read(text).faults?.[0]?.message).toMatch(/goes to no other vendor/);
});
