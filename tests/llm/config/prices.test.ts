import { expect, test } from "vitest";
import { costOf, keepPricesOf, priced } from "../../../lib/llm/config/prices.ts";
import type { Model } from "../../../lib/llm/config/schema.ts";

const asked = (id: string, type: "openai" | "anthropic", base_url: string) =>
  ({ id, provider: { name: "p", type, base_url } }) as Pick<Model, "id" | "provider">;
const claude = asked("claude-sonnet-4-5", "anthropic", "https://api.anthropic.com");
const proxied = asked("gpt-5", "openai", "http://127.0.0.1:4000/v1");
const unknown = asked("nobody-knows", "openai", "https://api.openai.com/v1");
const tokens = { input: 100_000, output: 10_000, cacheRead: 20_000, cacheWrite: 0, reasoning: 0 };

test("a model keeps its prices, by the address of its provider or by its type, when the rest of the table is let go", () => {
  const other = asked("gpt-4o", "openai", "https://api.openai.com/v1");
  const before = [claude, proxied, unknown].map((model) => costOf(model, tokens));
  expect(before).toMatchObject([
    { usd: "0.396" },
    { usd: "0.2025" },
    { usd: null, reason: "no price for nobody-knows" },
  ]);
  expect(priced(other)).toBe(true);

  keepPricesOf([claude, proxied, unknown]);

  expect([claude, proxied, unknown].map((model) => costOf(model, tokens))).toEqual(before);
  expect(priced(other)).toBe(false);
});
