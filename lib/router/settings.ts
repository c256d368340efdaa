import * as z from "zod";
import { must } from "../input/faults.ts";
import { whole } from "../input/whole.ts";
import { AgentName, ORCHESTRATOR } from "../protocol/messages.ts";
import { setting, type Values } from "../runtime/settings.ts";

/** What each part of the confidence counts, 0 to 1; they add up to 1. */
export type Weights = { trigger: number; context: number; capability: number; historical: number };

const FOUR = must(
  "be four numbers from 0 to 1 that add up to 1, for trigger, context, capability and historical, such as 0.40,0.30,0.20,0.10",
);

const AN_AGENT = must(`be an agent; no work goes to the ${ORCHESTRATOR}`);

/** How the router decides. */
export const routerSettings = {
  weights: setting({
    env: "ROUTER_WEIGHTS",
    takes: z.string().transform(toWeights),
    default: "0.40,0.30,0.20,0.10",
    says: "What each part of the confidence counts: trigger, context, capability, historical. Four numbers from 0 to 1 that add up to 1.",
  }),
  threshold: setting({
    env: "ROUTER_THRESHOLD",
    takes: decimal(0, 1),
    default: "0.4",
    says: "The least confidence, 0 to 1, with which an agent is chosen by its score.",
  }),
  fallbackAgent: setting({
    env: "ROUTER_FALLBACK_AGENT",
    takes: AgentName.refine((name) => name !== ORCHESTRATOR, AN_AGENT),
    optional: true,
    says: "Who gets the work that no agent reaches the threshold for; without it that work waits for a person. While it is no active agent of the registry, GET /health says so in `warnings`.",
  }),
  explore: setting({
    env: "ROUTER_EXPLORE",
    takes: decimal(0, 0.5),
    default: "0.1",
    says: "Share of the requests, 0 to 0.5, that may go to a little known agent that scores nearly as well as the best.",
  }),
  margin: setting({
    env: "ROUTER_MARGIN",
    takes: decimal(0, 1),
    default: "0.3",
    says: "How far behind the best score, 0 to 1, an agent may be that outcomes prove better; 0: the score alone decides.",
  }),
  halfLifeDays: setting({
    env: "ROUTER_HALF_LIFE_DAYS",
    takes: decimal(0.01, 3650),
    default: "14",
    unit: "days",
    says: "After so many days the outcome of a piece of work counts half.",
  }),
  cacheSeconds: setting({
    env: "ROUTER_CACHE_SECONDS",
    takes: decimal(0, 86_400),
    default: "60",
    unit: "seconds",
    says: "How long the scores of a request are kept in a function instance; 0: not at all.",
  }),
  snapshotSeconds: setting({
    env: "ROUTER_SNAPSHOT_SECONDS",
    takes: decimal(0, 3600),
    default: "5",
    unit: "seconds",
    says: "How old the knowledge of agents and their work may be that a function instance routes by.",
  }),
  presenceSeconds: setting({
    env: "AGENT_PRESENCE_SECONDS",
    takes: decimal(0, 31_536_000),
    default: "900",
    unit: "seconds",
    says: "How long an agent without a sign of life, a report or a message of a process, is still chosen; one of which there was none is not. 0: whoever is in the registry is chosen.",
  }),
};
/** As readSettings reads them. */
export type RouterSettings = Values<typeof routerSettings>;

/** What scoring and choosing need of them; who falls in where nobody is sure may be left out. */
export type Policy = Pick<RouterSettings, "weights" | "threshold" | "explore" | "margin"> &
  Partial<Pick<RouterSettings, "fallbackAgent">>;

/** How long the time series are kept, and what becomes of a month that is older. */
export const seriesSettings = {
  retentionMonths: setting({
    env: "METRICS_RETENTION_MONTHS",
    takes: whole(1, 1200),
    default: "13",
    unit: "months",
    says: "Months that routing decisions and handovers are kept.",
  }),
  auditMonths: setting({
    env: "AUDIT_RETENTION_MONTHS",
    takes: whole(1, 1200),
    default: "12",
    unit: "months",
    says: "Months that the record of who did what is kept; METRICS_EXPIRED says what becomes of older ones.",
  }),
  expired: setting({
    env: "METRICS_EXPIRED",
    takes: z.enum(["drop", "archive"]),
    default: "drop",
    says: "What becomes of older months: drop, or archive: the month stays as a table of its own, NAME_YYYY_MM_archived, that no query of ours reads.",
  }),
};
/** As readSettings reads them. */
export type SeriesSettings = Values<typeof seriesSettings>;

function toWeights(text: string, context: z.RefinementCtx): Weights {
  const [trigger, context_, capability, historical, ...rest] = text.split(",").map((part) => toNumber(part.trim()));
  const parts = [trigger, context_, capability, historical].filter((part) => part !== undefined);
  const sum = parts.reduce((total, part) => total + part, 0);
  if (parts.length < 4 || rest.length > 0 || !parts.every((part) => part >= 0 && part <= 1) || Math.abs(sum - 1) > 1e-9)
    context.addIssue({ code: "custom", message: FOUR.error({ input: text }), input: text });
  return { trigger: trigger ?? 0, context: context_ ?? 0, capability: capability ?? 0, historical: historical ?? 0 };
}

function decimal(min: number, max: number) {
  const rule = must(`be a number from ${min} to ${max}`);
  return z.string().transform(toNumber).pipe(z.number(rule).min(min, rule).max(max, rule));
}

/** Plain decimals: Number() alone takes "", " 5 ", "1e3" and "0x10" too. */
function toNumber(text: string): number {
  return /^\d{1,12}(?:\.\d{1,12})?$/.test(text) ? Number(text) : Number.NaN;
}
