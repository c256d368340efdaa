import type { Pool } from "../../runtime/postgres/db.ts";
import { decimal } from "../config/prices.ts";
import type { Budgets } from "../config/schema.ts";
import type { CallFacts } from "./account.ts";
import { insertReservations, lockSpend, type Scope } from "./queries.ts";

/** A budget without room. `usedUsd` is spent or reserved. */
export type FullBudget = { budget: string; limitUsd: number; usedUsd: number };

/** The budgets that a call falls under; `now` is epoch milliseconds, and days are those of UTC. Empty where none is set. */
export function scopesOf(budgets: Budgets, { taskId, agent }: CallFacts, now: number): Scope[] {
  const day = new Date(now).toISOString().slice(0, 10);
  const scopes: Scope[] = [];
  const { task_usd, agent_usd_per_day, agents, day_usd } = budgets;
  const agentLimit = agent === null ? undefined : (agents[agent] ?? agent_usd_per_day);
  if (agent !== null && agentLimit !== undefined)
    scopes.push({ scope: "agent", scopeKey: `${agent} ${day}`, limitUsd: agentLimit });
  if (day_usd !== undefined) scopes.push({ scope: "day", scopeKey: day, limitUsd: day_usd });
  if (taskId !== null && task_usd !== undefined) scopes.push({ scope: "task", scopeKey: taskId, limitUsd: task_usd });
  return scopes;
}

/** Reserves `usd` in all of the budgets for so many seconds, or in none: then answers the first that has no room. */
export async function reserveIn(
  db: Pool,
  facts: Pick<CallFacts, "callId" | "teamId">,
  scopes: Scope[],
  usd: number,
  seconds: number,
): Promise<FullBudget | undefined> {
  return await db.begin(async (tx): Promise<FullBudget | undefined> => {
    const used = await lockSpend(tx, facts.teamId, scopes);
    for (const { scope, scopeKey, limitUsd } of scopes) {
      const usedUsd = used.find((one) => one.scope === scope && one.scopeKey === scopeKey)?.usd ?? 0;
      if (usedUsd + usd > limitUsd) return { budget: `${scope} ${scopeKey}`, limitUsd, usedUsd };
    }
    await insertReservations(tx, facts, scopes, decimal(usd), seconds);
    return undefined;
  });
}
