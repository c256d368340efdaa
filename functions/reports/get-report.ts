import { getReport, listReports } from "../../lib/reports/routes.ts";
import { list, run } from "../../lib/wiring/calls/reports.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";

/** GET /reports: which reports there are. GET /reports/{name}: the rows of one. */
export const handler = httpFunction(functionPlane(), [listReports, list], [getReport, run]);
