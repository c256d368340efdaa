import type { Db } from "../../runtime/postgres/db.ts";
import type { Performance, Sums } from "../score/fading.ts";

/** What all agents of a team have shown, in no order; a row for each work type of each. */
export async function findPerformance(db: Db, team: string): Promise<Performance[]> {
  const rows = await db<PerformanceRow[]>`
    select agent_name, work_type, weight, success_sum, quality_weight, quality_sum, time_weight, time_ms_sum, observed_at
    from agent_performance where team_id = ${team}
  `;
  return rows.map((row) => ({ agent: row.agentName, work_type: row.workType, ...sumsOf(row) }));
}

/** The sums of a row, as the formulas of fading.ts take them. */
export function sumsOf(row: PerformanceRow): Sums {
  return {
    weight: row.weight,
    success_sum: row.successSum,
    quality_weight: row.qualityWeight,
    quality_sum: row.qualitySum,
    time_weight: row.timeWeight,
    time_ms_sum: row.timeMsSum,
    observed_at: row.observedAt.getTime(),
  };
}

/** A row of agent_performance as the driver gives it. */
export type PerformanceRow = {
  agentName: string;
  workType: string;
  weight: number;
  successSum: number;
  qualityWeight: number;
  qualitySum: number;
  timeWeight: number;
  timeMsSum: number;
  observedAt: Date;
};
