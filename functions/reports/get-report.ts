import type { APIGatewayProxyEventV2, Context } from "aws-lambda";
import { system } from "../../lib/access/actor.ts";
import { listReports as allReports, findReport } from "../../lib/reports/all.ts";
import { getReport, listReports } from "../../lib/reports/routes.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";

const db = connect();
const actor = system("http");

const list = http(listReports, async () => ({ status: 200, body: { reports: allReports() } }));

const one = http(getReport, async ({ params: { name }, query }) => {
  const report = findReport(name);
  return { status: 200, body: { report: name, ...(await report.run(db, actor, query)) } };
});

/** GET /reports/{name}: the rows of one of the ten reports. GET /reports: which there are. */
export const handler = async (event: APIGatewayProxyEventV2, context?: Context) =>
  await (event.pathParameters?.["name"] === undefined ? list : one)(event, context);
