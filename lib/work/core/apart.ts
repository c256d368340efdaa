import type { Actor } from "../../access/actor.ts";
import { ofTeam } from "../../access/of-team.ts";
import type { Db, Fragment } from "../../runtime/postgres/db.ts";

// Work that the database refuses to start: set apart, so that it stands before no other.

/** What is told of work that the database refuses to start. */
export type Refused = { taskId: string; reason: string };

/** Such work is tried again after FIRST_SECONDS, then after twice as long each time, at most MOST_SECONDS. */
const FIRST_SECONDS = 60;
const MOST_SECONDS = 3600;

/** The ids of what is set apart and not to be tried yet. */
export const setApart = (db: Db): Fragment => db`select task_id from dispatch_refusals where retry_at > now()`;

/** Forgets that the database refused work, so that it is tried at once: it begins anew, or with another agent. */
export async function forgetApart(db: Db, taskId: string): Promise<void> {
  await db`delete from dispatch_refusals where task_id = ${taskId}`;
}

/**
 * Sets work apart for a while, with the reason, longer each time that the same attempt is refused; forgets of the others what was
 * started since.
 */
export async function keepApart(db: Db, taskId: string, reason: string): Promise<void> {
  const before = db`case when known.attempt = excluded.attempt then known.refusals else 0 end`;
  await db`
    with forgotten as (
      delete from dispatch_refusals using tasks
      where tasks.task_id = dispatch_refusals.task_id and tasks.task_id <> ${taskId} and not ${stillApart(db)}
    )
    insert into dispatch_refusals as known (task_id, team_id, attempt, refusals, reason, retry_at)
    select task_id, team_id, attempt, 1, ${reason}, now() + make_interval(secs => ${FIRST_SECONDS})
    from tasks where task_id = ${taskId} and status = 'approved'
    on conflict on constraint dispatch_refusals_pkey do update set
      attempt = excluded.attempt, reason = excluded.reason, refusals = ${before} + 1,
      retry_at = now() + make_interval(secs => least(${MOST_SECONDS}, ${FIRST_SECONDS} * 2.0 ^ least(${before}, 10)))
  `;
}

/** Why work is not started; null where the database has not refused it. */
export async function whyApart(db: Db, taskId: string): Promise<string | null> {
  const [row] = await db<{ reason: string }[]>`
    select reason from dispatch_refusals join tasks using (task_id) where task_id = ${taskId} and ${stillApart(db)}
  `;
  return row?.reason ?? null;
}

/** What of the actor's team the database refuses to start, at most 20, the oldest first. */
export async function refusedToStart(db: Db, actor: Actor): Promise<Refused[]> {
  return await db<Refused[]>`
    select task_id, reason from dispatch_refusals join tasks using (task_id)
    where ${stillApart(db)} and ${ofTeam(db, actor, "tasks")} order by task_id limit 20
  `;
}

/** Whether the row of dispatch_refusals is about the attempt that its work waits for. */
export const stillApart = (db: Db): Fragment => db`(
  tasks.status = 'approved' and tasks.attempt = dispatch_refusals.attempt
)`;

/** What is told of work that the database refuses to start, with what to do. */
export function refusalOf(taskId: string, error: unknown): string {
  const said = (error as Error).message.slice(0, 300);
  return `the database refuses to start it: ${said}. Correct its row, or end it: POST /work/${taskId}/cancel. It is tried again by itself, at most an hour apart.`;
}
