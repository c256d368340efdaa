import { expect } from "vitest";
import { type ReportName, reports } from "../../lib/reports/all.ts";
import type { Db } from "../../lib/runtime/postgres/db.ts";
import { ACTOR } from "../support/database/actor.ts";

/** The rows of a report, each of which must be as its schema says. */
export async function ask(db: Db, name: ReportName, given: Record<string, unknown> = {}, now?: Date): Promise<any[]> {
  const report = reports[name];
  const { rows } = await report.run(db, ACTOR, given, now);
  for (const row of rows) expect(report.row.parse(row)).toEqual(row);
  return rows;
}

const loaded = Date.now();
export const minutesAgo = (minutes: number) => new Date(loaded - minutes * 60_000);
export const daysAgo = (days: number) => minutesAgo(days * 24 * 60);
