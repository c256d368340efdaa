import * as z from "zod";
import { dictionary } from "../../input/dictionary.ts";
import { ERROR_CLASSES } from "./failure.ts";

/** What a model can do beyond text in, text out. */
export const CAPABILITIES = ["tools", "json_schema", "vision", "embeddings"] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** What follows a failure: the same model once more and then the next, the next at once, or the error to the caller. */
export const RULES = ["retry", "next", "stop"] as const;
export type Rule = (typeof RULES)[number];

const Name = z.string().regex(/^[\w.:/@-]{1,100}$/, "must have 1 to 100 letters, digits or . : / @ _ -");
const milliseconds = z.int().min(1).max(900_000);
const usd = z.number().min(0).max(1_000_000);

function byName<T extends z.ZodType>(name: z.ZodString, entry: T) {
  return z.record(name, entry).transform((entries) => dictionary(entries));
}

const Timeouts = z.strictObject({
  connect_ms: milliseconds.optional(),
  first_token_ms: milliseconds.optional(),
  idle_ms: milliseconds.optional(),
  total_ms: milliseconds.optional(),
});
type SomeTimeouts = z.infer<typeof Timeouts>;
/** The four clocks of one attempt, in milliseconds; `total` is that of the whole call. */
export type Timeouts = { [K in keyof SomeTimeouts]-?: number };

export const DEFAULT_TIMEOUTS: Timeouts = {
  connect_ms: 3_000,
  first_token_ms: 20_000,
  idle_ms: 15_000,
  total_ms: 120_000,
};

/** USD per million tokens. */
const Price = z.union([
  z.literal(0),
  z.strictObject({ input: usd, output: usd, cache_read: usd.optional(), cache_write: usd.optional() }),
]);
export type Price = z.infer<typeof Price>;

const Provider = z.strictObject({
  type: z.enum(["openai", "anthropic"]).describe("openai stands for everything that speaks its chat completions"),
  base_url: z.string(),
  key: z.string().optional(),
  local: z.boolean().default(false).describe("true: prompts sent there do not leave the house"),
  optional: z.boolean().default(false).describe("true: left out with a warning where its key is not set"),
  headers: z.record(z.string(), z.string()).default({}),
});
export type Provider = z.infer<typeof Provider> & { name: string };

const Model = z.strictObject({
  provider: z.string(),
  id: z.string().min(1).max(200),
  window: z.int().min(1),
  max_output: z.int().min(1).optional(),
  can: z.array(z.enum(CAPABILITIES)).default([]),
  price: Price.optional().describe("USD per million tokens, or 0; without it the price table must know the model"),
  timeouts: Timeouts.default({}),
});
export type Model = Omit<z.infer<typeof Model>, "provider" | "timeouts"> & {
  name: string;
  provider: Provider;
  timeouts: SomeTimeouts;
};

const Chain = z.strictObject({
  models: z
    .array(z.string())
    .min(1, "must name at least one model")
    .describe("in this order; a chain's name stands for its models"),
  promises: z
    .strictObject({ window: z.int().min(1).optional(), can: z.array(z.enum(CAPABILITIES)).optional() })
    .default({})
    .describe("what every model of the chain must offer; the first model's window and capabilities where left out"),
  on: z.partialRecord(z.enum(ERROR_CLASSES), z.enum(RULES)).default({}),
  stream: z.enum(["live", "whole"]).default("live"),
  hedge: z
    .union([z.literal("p95"), z.strictObject({ after_ms: milliseconds })])
    .optional()
    .describe("a second model is started when the first has said nothing for so long"),
  rate_limit_wait_ms: z.int().min(0).max(60_000).default(5_000).describe("the longest wait for a Retry-After"),
  timeouts: Timeouts.default({}),
});
export type Chain = Omit<z.infer<typeof Chain>, "models" | "promises" | "timeouts"> & {
  name: string;
  models: Model[];
  timeouts: SomeTimeouts;
};

const Budgets = z.strictObject({
  task_usd: usd.optional().describe("for all calls of one task"),
  agent_usd_per_day: usd.optional(),
  agents: byName(z.string(), usd).prefault({}).describe("USD a day for single agents, in place of agent_usd_per_day"),
  day_usd: usd.optional().describe("for everybody, by UTC day"),
  without_database: z.enum(["serve", "refuse"]).default("serve"),
});
export type Budgets = z.infer<typeof Budgets>;

/** llm.config.yaml as it is written. */
export const ConfigFile = z.strictObject({
  external: z.enum(["on", "off"]).default("on").describe("off: no call leaves for an external vendor"),
  providers: byName(Name, Provider),
  models: byName(Name, Model),
  chains: byName(Name, Chain),
  budgets: Budgets.prefault({}),
  timeouts: Timeouts.default({}),
  keep_text_of_projects: z.array(z.uuid()).default([]).describe("projects whose prompts and answers are kept"),
});
export type ConfigFile = z.infer<typeof ConfigFile>;

/** The configuration as the gateway uses it: names resolved, chains flat, every clock set. */
export type Config = {
  external: boolean;
  providers: Provider[];
  models: Map<string, Model>;
  chains: Map<string, Chain>;
  budgets: Budgets;
  timeouts: Timeouts;
  keepTextOf: Set<string>;
};

/** What is wrong and where: `line` counts from 1. */
export type ConfigFault = { line: number; message: string };

/** What reading a configuration needs from outside. */
export type Surroundings = {
  env: Record<string, string | undefined>;
  /** Whether `${secret:NAME}` can be asked for here. */
  secrets: boolean;
  /** Secrets that were asked for and did not come, with the reason; `passing` where a later try may bring them. */
  unreadable?: ReadonlyMap<string, { reason: string; passing: boolean }>;
  /** Told each secret that a key comes from; `optional` where its provider may be left out. */
  onSecret?: (name: string, optional: boolean) => void;
  /** Whether the price table knows this model. */
  priced: (model: Pick<Model, "id" | "provider">) => boolean;
};
