import type { Db } from "../../runtime/postgres/db.ts";
import { isShort } from "./short.ts";

/** A message of ours on its way to an agent. It counts only while the work executes `attempt`, where that is given. */
export type Outgoing = { id: string; body: string; teamId: string; toAgent: string; taskId: string; attempt?: number };

/** What became of messages: the ids of those that their queues have taken, and of those that their queues refuse, with why and what to do. */
export type Delivery = { sent: string[]; refused: { id: string; reason: string }[] };

/**
 * Puts messages on the agents' queues. Never throws: what a queue does not take stays in the outbox. What is in neither list did not
 * reach its queue.
 */
export type Send = (messages: Outgoing[]) => Promise<Delivery>;

/** Seconds before the sweep looks after a message: longer than any function that would send it itself runs. */
const SEND_AFTER_SECONDS = 60;

/** What a queue refuses is tried again after SEND_AFTER_SECONDS, then after twice as long each time, at most this. */
const MOST_SEND_AFTER_SECONDS = 600;

/** Keeps messages with the change that causes them; call it in the same transaction. The sweep looks after them so many seconds later. */
export async function insertOutbox(db: Db, messages: Outgoing[], afterSeconds = SEND_AFTER_SECONDS): Promise<void> {
  if (messages.length === 0) return;
  await db`
    insert into outbox (message_id, team_id, to_agent, body, task_id, attempt, send_after)
    select message_id, team_id, to_agent, body, task_id, attempt, now() + make_interval(secs => ${afterSeconds})
    from unnest(
      ${messages.map((message) => message.id)}::uuid[],
      ${messages.map((message) => message.teamId)}::uuid[],
      ${messages.map((message) => message.toAgent)}::text[],
      ${messages.map((message) => message.body)}::text[],
      ${messages.map((message) => message.taskId)}::uuid[],
      ${messages.map((message) => message.attempt ?? null)}::int[]
    ) as message (message_id, team_id, to_agent, body, task_id, attempt)
  `;
}

/**
 * Sends messages after their commit; those that the queues have taken leave the outbox, and those that are refused stay with the reason.
 * Sent twice does no harm, lost does. Answers how many were sent.
 */
export async function deliver(db: Db, messages: Outgoing[], send: Send): Promise<number> {
  if (messages.length === 0) return 0;
  const { sent, refused } = await send(messages);
  if (sent.length > 0) await db`delete from outbox where message_id = any(${sent}::uuid[])`;
  if (refused.length > 0) await keepRefusals(db, refused);
  return sent.length;
}

async function keepRefusals(db: Db, refused: Delivery["refused"]): Promise<void> {
  await db`
    update outbox set refusals = refusals + 1, refusal = reason,
      send_after = now() + make_interval(secs => least(${MOST_SEND_AFTER_SECONDS}, ${SEND_AFTER_SECONDS} * 2.0 ^ least(refusals, 10)))
    from unnest(${refused.map(({ id }) => id)}::uuid[], ${refused.map(({ reason }) => reason)}::text[]) as told (message_id, reason)
    where outbox.message_id = told.message_id
  `;
}

/** Drops the messages about these attempts that are still here: others take their place. */
export async function supersede(db: Db, about: readonly { taskId: string; attempt: number }[]): Promise<void> {
  if (about.length === 0) return;
  await db`
    delete from outbox using unnest(
      ${about.map(({ taskId }) => taskId)}::uuid[], ${about.map(({ attempt }) => attempt)}::int[]
    ) as old (task_id, attempt)
    where outbox.task_id = old.task_id and outbox.attempt = old.attempt
  `;
}

/** The question what was told of an attempt that has ended; one about an attempt under way counts with it. */
const isTellAgain = (db: Db) => db`(due.payload ->> 'status' is not distinct from 'executing')`;
const asksAbout = (db: Db) => db`(due.payload ->> 'attempt')::int`;

/**
 * Takes messages that nobody has sent in time, for this caller alone until it should have sent them; drops what counts no more. What
 * has been refused comes after all that has not.
 */
export async function claimLeftovers(db: Db, limit: number): Promise<Outgoing[]> {
  return await db<Outgoing[]>`
    with due as materialized (
      select message_id, task_id, attempt, created_at, case when attempt is null then body::jsonb -> 'payload' end as payload
      from outbox
      where send_after <= now()
      order by refusals, send_after
      limit ${limit}
      for update skip locked
    ), judged as materialized (
      select due.message_id,
        case
          when due.attempt is not null then tasks.status = 'executing' and tasks.attempt = due.attempt
          else not ${isTellAgain(db)} or (due.created_at > now() - interval '1 hour' and ${isShort(db, db`due.task_id`, asksAbout(db))})
        end as counts
      from due join tasks using (task_id)
    ), dropped as (
      delete from outbox using judged where outbox.message_id = judged.message_id and not judged.counts
    )
    update outbox set send_after = now() + make_interval(secs => ${SEND_AFTER_SECONDS})
    from judged where outbox.message_id = judged.message_id and judged.counts
    returning outbox.message_id as id, outbox.body, outbox.team_id, outbox.to_agent, outbox.task_id, outbox.attempt
  `;
}
