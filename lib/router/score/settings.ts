import * as z from "zod";
import { must } from "../../input/faults.ts";
import { AgentName, ORCHESTRATOR } from "../../protocol/messages.ts";

/** What each part of the confidence counts; they add up to 1. */
export type Weights = { trigger: number; context: number; capability: number; historical: number };

const FOUR = must(
  "be four numbers from 0 to 1 that add up to 1, for trigger, context, capability and historical, such as 0.40,0.30,0.20,0.10",
);

const AN_AGENT = must(`be an agent; no work goes to the ${ORCHESTRATOR}`);

/** How the router decides, from the environment. */
export const RouterSettings = z.object({
  ROUTER_WEIGHTS: z.string().default("0.40,0.30,0.20,0.10").transform(toWeights),
  ROUTER_THRESHOLD: number(0, 1, 0.4).describe("the least confidence with which an agent is chosen by its score"),
  ROUTER_FALLBACK_AGENT: AgentName.refine((name) => name !== ORCHESTRATOR, AN_AGENT)
    .optional()
    .describe("who gets what nobody is sure of; without it a person decides"),
  ROUTER_EXPLORE: number(0, 0.5, 0.1).describe("share of the requests that a little known agent near the best may get"),
  ROUTER_MARGIN: number(0, 1, 0.3).describe("how far behind the best score an agent may be that outcomes prove better"),
  ROUTER_HALF_LIFE_DAYS: number(0.01, 3650, 14).describe("after so long an outcome counts half"),
  ROUTER_CACHE_SECONDS: number(0, 86_400, 60).describe("how long the scores of a request are kept; 0: never"),
  ROUTER_SNAPSHOT_SECONDS: number(0, 3600, 5).describe("how long what is known of the agents' work may be old"),
  AGENT_PRESENCE_SECONDS: number(0, 31_536_000, 900).describe("how long a silent agent is still chosen; 0: for ever"),
});
export type RouterSettings = z.infer<typeof RouterSettings>;

/** What the pure router needs of the settings. */
export type Policy = Pick<
  RouterSettings,
  "ROUTER_WEIGHTS" | "ROUTER_THRESHOLD" | "ROUTER_EXPLORE" | "ROUTER_MARGIN"
> & {
  ROUTER_FALLBACK_AGENT?: string | undefined;
};

function toWeights(text: string, context: z.RefinementCtx): Weights {
  const [trigger, context_, capability, historical, ...rest] = text.split(",").map((part) => toNumber(part.trim()));
  const parts = [trigger, context_, capability, historical].filter((part) => part !== undefined);
  const sum = parts.reduce((total, part) => total + part, 0);
  if (parts.length < 4 || rest.length > 0 || !parts.every((part) => part >= 0 && part <= 1) || Math.abs(sum - 1) > 1e-9)
    context.addIssue({ code: "custom", message: FOUR.error({ input: text }), input: text });
  return { trigger: trigger ?? 0, context: context_ ?? 0, capability: capability ?? 0, historical: historical ?? 0 };
}

function number(min: number, max: number, otherwise: number): z.ZodType<number> {
  const rule = must(`be a number from ${min} to ${max}`);
  return z.string().transform(toNumber).pipe(z.number(rule).min(min, rule).max(max, rule)).default(otherwise);
}

/** Plain decimals: Number() alone takes "", " 5 ", "1e3" and "0x10" too. */
function toNumber(text: string): number {
  return /^\d{1,12}(?:\.\d{1,12})?$/.test(text) ? Number(text) : Number.NaN;
}
