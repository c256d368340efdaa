import { listReports as allReports, findReport } from "../../reports/all.ts";
import type { getReport, listReports } from "../../reports/routes.ts";
import type { Answers } from "../serve.ts";
import { inTeam } from "../team.ts";

/** Which reports there are. */
export const list: Answers<typeof listReports> = async () => ({ status: 200, body: { reports: allReports() } });

/** The rows of one report. */
export const run: Answers<typeof getReport> = async (plane, actor, { params: { name }, query }) => {
  const answered = await inTeam(plane, actor, async (db) => await findReport(name).run(db, actor, query));
  return { status: 200, body: { report: name, ...answered } };
};
