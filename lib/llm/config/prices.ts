// The table is @pydantic/genai-prices'; own is what it has not: a price from the configuration, and letting go of the models that
// nobody names.
import {
  calcPrice,
  type PriceCalculation,
  type Provider as PriceList,
  type PriceOptions,
  type StorageFactoryParams,
  type Usage,
  updatePrices,
} from "@pydantic/genai-prices";
import type { Model, Price } from "./schema.ts";

/** Tokens by class. `input` is all input, cache reads and writes included; `output` includes reasoning. */
export type Tokens = { input: number; output: number; cacheRead: number; cacheWrite: number; reasoning: number };

/** A cost in USD as a decimal text, or null with the reason: unknown is never 0. */
export type Cost = { usd: string; reason?: undefined } | { usd: null; reason: string };

type PricedModel = Pick<Model, "id" | "provider">;

/** Whether the bundled price table knows this model, or has known it before the rest was let go of. */
export function priced(model: PricedModel): boolean {
  return priceListOf(model) !== undefined;
}

const kept = new Map<string, PriceList | undefined>();

/** Keeps what the bundled table says of these models and lets go of the rest: no other model has a price any more. */
export function keepPricesOf(models: Iterable<PricedModel>): void {
  for (const model of models) kept.set(nameOf(model), priceListOf(model));
  updatePrices(({ setProviderData }: StorageFactoryParams) => setProviderData([]));
}

function priceListOf(model: PricedModel): PriceList | undefined {
  const name = nameOf(model);
  return kept.has(name) ? kept.get(name) : findInTable(model);
}

function nameOf({ id, provider }: PricedModel): string {
  return JSON.stringify([provider.type, provider.base_url, id]);
}

function findInTable({ id, provider }: PricedModel): PriceList | undefined {
  for (const option of [{ providerApiUrl: provider.base_url }, { providerId: provider.type }]) {
    const found = ask({ input_tokens: 1000, output_tokens: 1000 }, id, option);
    if (found !== undefined) return { ...found.provider, models: [found.model] };
  }
  return undefined;
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

function byTable(model: PricedModel, tokens: Tokens): number | undefined {
  const provider = priceListOf(model);
  if (provider === undefined) return undefined;
  const usage = {
    input_tokens: Math.max(tokens.input, tokens.cacheRead + tokens.cacheWrite),
    output_tokens: tokens.output,
    ...(tokens.cacheRead > 0 ? { cache_read_tokens: tokens.cacheRead } : {}),
    ...(tokens.cacheWrite > 0 ? { cache_write_tokens: tokens.cacheWrite } : {}),
  };
  return ask(usage, model.id, { provider })?.total_price;
}

function ask(usage: Usage, id: string, options: PriceOptions): PriceCalculation | undefined {
  try {
    return calcPrice(usage, id, options) ?? undefined;
  } catch {
    // The table throws where a usage does not fit its units: no price then.
    return undefined;
  }
}
