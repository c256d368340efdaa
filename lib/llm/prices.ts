import { calcPrice } from "@pydantic/genai-prices";
import type { Model, Price } from "./config-schema.ts";

/** Tokens by class. `input` is all input, cache reads and writes included; `output` includes reasoning. */
export type Tokens = { input: number; output: number; cacheRead: number; cacheWrite: number; reasoning: number };

/** A cost in USD as a decimal text, or null with the reason: unknown is never 0. */
export type Cost = { usd: string; reason?: undefined } | { usd: null; reason: string };

/** Whether the bundled price table knows this model. */
export function priced(model: Pick<Model, "id" | "provider">): boolean {
  return byTable(model, { input: 1000, output: 1000, cacheRead: 0, cacheWrite: 0, reasoning: 0 }) !== undefined;
}

/** What these tokens cost on this model: by the configuration's price, else by the bundled table. */
export function costOf(model: Pick<Model, "id" | "provider" | "price">, tokens: Tokens | undefined): Cost {
  if (model.price === 0) return { usd: "0" };
  if (tokens === undefined) return { usd: null, reason: "usage unknown" };
  const usd = model.price === undefined ? byTable(model, tokens) : byConfig(model.price, tokens);
  return usd === undefined ? { usd: null, reason: `no price for ${model.id}` } : { usd: decimal(usd) };
}

/** Ten digits behind the point: a token of the cheapest model is some 1e-8 USD. */
export function decimal(usd: number): string {
  return usd.toFixed(10).replace(/\.?0+$/, "") || "0";
}

function byConfig(price: Exclude<Price, 0>, tokens: Tokens): number {
  const plain = Math.max(0, tokens.input - tokens.cacheRead - tokens.cacheWrite);
  const { input, output, cache_read = input, cache_write = input } = price;
  return (
    (plain * input + tokens.cacheRead * cache_read + tokens.cacheWrite * cache_write + tokens.output * output) / 1e6
  );
}

function byTable({ id, provider }: Pick<Model, "id" | "provider">, tokens: Tokens): number | undefined {
  const usage = {
    input_tokens: Math.max(tokens.input, tokens.cacheRead + tokens.cacheWrite),
    output_tokens: tokens.output,
    ...(tokens.cacheRead > 0 ? { cache_read_tokens: tokens.cacheRead } : {}),
    ...(tokens.cacheWrite > 0 ? { cache_write_tokens: tokens.cacheWrite } : {}),
  };
  const options = [{ providerApiUrl: provider.base_url }, { providerId: provider.type }];
  for (const option of options) {
    try {
      const found = calcPrice(usage, id, option);
      if (found !== null) return found.total_price;
    } catch {
      // The table throws where a usage does not fit its units: no price then.
    }
  }
  return undefined;
}
