import type { Actor } from "../../access/actor.ts";
import { ofTeam } from "../../access/of-team.ts";
import { dictionary } from "../../input/dictionary.ts";
import type { Db } from "../../runtime/postgres/db.ts";

/** What is told of agents whose queues refuse messages. */
export type Undeliverable = { agent: string; messages: number; reason: string };

/** Agents whose queues refuse messages, by name, at most 20: how many, and why the last one was refused, with what to do. */
export async function undeliverable(db: Db, _actor: Actor): Promise<Undeliverable[]> {
  return await db<Undeliverable[]>`
    select to_agent as agent, count(*)::int as messages, (array_agg(refusal order by message_id desc))[1] as reason
    from outbox where refusals > 0
    group by to_agent order by to_agent limit 20
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
