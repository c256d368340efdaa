import type { Actor } from "../../access/actor.ts";
import type { AgentOfTeam } from "../../access/agent-of-team.ts";
import { ofTeam } from "../../access/of-team.ts";
import { dictionary } from "../../input/dictionary.ts";
import type { Db } from "../../runtime/postgres/db.ts";

/** What is told of an agent whose queue refuses messages. */
export type Undeliverable = AgentOfTeam & { messages: number; reason: string };

/**
 * Agents of the actor's team whose queues refuse messages, by name, at most 20: how many, and why the last one was refused, with what to do.
 */
export async function undeliverable(db: Db, actor: Actor): Promise<Undeliverable[]> {
  return await db<Undeliverable[]>`
    select team_id, to_agent as agent, count(*)::int as messages, (array_agg(refusal order by message_id desc))[1] as reason
    from outbox where refusals > 0 and ${ofTeam(db, actor)}
    group by to_agent, team_id order by to_agent, team_id limit 20
  `;
}

/** Why the queues of these agents refuse messages that wait for them, the last reason of each, by agent; nothing of those that refuse none. */
export async function refusalsOf(db: Db, actor: Actor, agents: readonly string[]): Promise<Record<string, string>> {
  const rows = await db<{ toAgent: string; refusal: string }[]>`
    select distinct on (to_agent) to_agent, refusal from outbox
    where refusals > 0 and ${ofTeam(db, actor)} and to_agent = any(${agents as string[]}::text[])
    order by to_agent, message_id desc
  `;
  return dictionary(Object.fromEntries(rows.map(({ toAgent, refusal }) => [toAgent, refusal])));
}

/** Why the request of work is not with its agent's queue; null where that has not refused it. */
export async function whyRefused(db: Db, taskId: string): Promise<string | null> {
  const [row] = await db<{ refusal: string }[]>`
    select refusal from outbox where task_id = ${taskId} and refusals > 0 order by message_id desc limit 1
  `;
  return row?.refusal ?? null;
}
