import * as z from "zod";
import { READER } from "../access/may.ts";
import { whole } from "../input/whole.ts";
import { Uuid } from "../protocol/messages.ts";
import type { Route } from "../runtime/http/route.ts";
import { ListedReport, REPORT_NAMES, ReportAnswer, takersOf } from "./all.ts";
import { Days } from "./report.ts";
import { TimeZone } from "./tasks.ts";

export const listReports = {
  method: "GET",
  path: "/reports",
  operation: "listReports",
  summary: "The reports that there are, each with its parameters.",
  access: READER,
  function: "get-report",
  answers: {
    200: { description: "Every report", schema: z.strictObject({ reports: z.array(ListedReport) }) },
  },
} as const satisfies Route;

export const getReport = {
  method: "GET",
  path: "/reports/{name}",
  operation: "getReport",
  summary: "One report about what happened. A parameter that the report does not take is an error.",
  access: READER,
  function: "get-report",
  // A string and not an enum, so that another name is 404, as paths are.
  params: z.object({ name: z.string().meta({ enum: REPORT_NAMES }) }),
  // Loose, because the report itself says which of these it takes and what each is by default.
  query: z.looseObject({
    days: Days.optional().describe(`how many days back; 7 by default. Of ${takersOf("days")}`),
    limit: whole(1, 1000)
      .optional()
      .describe(`how many rows at most. Of ${takersOf("limit")}`),
    task_id: Uuid.optional().describe(`required by ${takersOf("task_id")}, of it alone`),
    cursor: z
      .string()
      .max(50)
      .optional()
      .describe(`next_cursor of the page before. Of ${takersOf("cursor")}`),
    time_zone: TimeZone.optional().describe(`in which a day begins; UTC by default. Of ${takersOf("time_zone")}`),
  }),
  answers: {
    200: { description: "Its rows", schema: ReportAnswer },
    404: { description: "No such report, or no such work" },
  },
} as const satisfies Route;

/** The calls that ask about work afterwards. Apart from workRoutes, so that no other function carries the reports. */
export const reportRoutes = [listReports, getReport] satisfies Route[];
