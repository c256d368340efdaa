import * as z from "zod";
import { CallerError } from "../errors.ts";
import { agentMetrics, failedSteps } from "./agents.ts";
import { aiCostByModel, externalAiUse } from "./external-ai.ts";
import { llmFallbacks, llmLatency, llmSpend } from "./llm.ts";
import type { Report } from "./report.ts";
import { resourceUse } from "./resources.ts";
import { agentPerformance, betterAlternatives, routerCache, routerLatency, routingAccuracy } from "./routing.ts";
import { failedTasks, longestRunning, successRate, tasksByStatus } from "./tasks.ts";
import { taskTimeline } from "./timeline.ts";

/** The ten questions of a post-mortem, three about the LLM gateway and five about the router, by the name under which each is asked. */
export const reports = {
  "failed-tasks": failedTasks,
  "task-timeline": taskTimeline,
  "resource-use": resourceUse,
  "external-ai-use": externalAiUse,
  "agent-metrics": agentMetrics,
  "failed-steps": failedSteps,
  "tasks-by-status": tasksByStatus,
  "ai-cost-by-model": aiCostByModel,
  "longest-running": longestRunning,
  "success-rate": successRate,
  "llm-fallbacks": llmFallbacks,
  "llm-latency": llmLatency,
  "llm-spend": llmSpend,
  "routing-accuracy": routingAccuracy,
  "router-latency": routerLatency,
  "router-cache": routerCache,
  "agent-performance": agentPerformance,
  "better-alternatives": betterAlternatives,
} as const satisfies Record<string, Report>;

/** The names under which reports are asked. */
export type ReportName = keyof typeof reports;
/** All of them, in the order of the requirements. */
export const REPORT_NAMES = Object.keys(reports) as ReportName[];

/** The report of this name. Throws a CallerError that lists the names where there is none. */
export function findReport(name: string): Report {
  if (Object.hasOwn(reports, name)) return reports[name as ReportName];
  throw new CallerError(404, "unknown_report", `No report has this name. Reports are: ${REPORT_NAMES.join(", ")}.`);
}

/** One report for those who look for one: its name, what it tells, and the JSON Schema of its parameters. */
export const ListedReport = z
  .strictObject({ name: z.enum(REPORT_NAMES), title: z.string(), parameters: z.record(z.string(), z.unknown()) })
  .meta({ id: "ListedReport" });
export type ListedReport = z.infer<typeof ListedReport>;

/** Every report, in the order of the requirements. */
export function listReports(): ListedReport[] {
  return REPORT_NAMES.map((name) => {
    const { title, parameters } = reports[name];
    const { $schema: _, ...schema } = z.toJSONSchema(parameters, { io: "input" });
    return { name, title, parameters: schema };
  });
}

/** Which reports take a parameter, for its description. */
export function takersOf(parameter: string): string {
  return REPORT_NAMES.filter((name) => parameter in reports[name].parameters.shape).join(", ");
}

/** What a report answers, one schema a report. */
export const ReportAnswer = z
  .discriminatedUnion("report", REPORT_NAMES.map(answerOf) as [AnswerSchema, ...AnswerSchema[]])
  .meta({ id: "ReportAnswer" });

type AnswerSchema = ReturnType<typeof answerOf>;

function answerOf(name: ReportName) {
  const { title, parameters, row } = reports[name];
  const id = `${name.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase())}Report`;
  return z
    .strictObject({
      report: z.literal(name),
      parameters: parameters.describe("as they were understood"),
      truncated: z.boolean().describe("whether limit left rows out"),
      rows: z.array(row),
      ...("cursor" in parameters.shape
        ? { next_cursor: z.string().nullable().describe("the cursor of the next page; null on the last") }
        : {}),
    })
    .meta({ id, description: title });
}
