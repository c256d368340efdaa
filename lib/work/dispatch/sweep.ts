import type { Actor } from "../../access/actor.ts";
import type { Db, Pool } from "../../runtime/postgres/db.ts";
import { backoffSql } from "../core/backoff.ts";
import { cancelled, type Stamp } from "../core/messages.ts";
import { claimLeftovers, deliver, insertOutbox, type Send } from "../core/outbox.ts";
import type { Learn } from "../core/router-seam.ts";

/** Rows that one statement of the sweep takes: it repeats until there are no more. */
const SWEEP_LIMIT = 100;

/**
 * Ends the attempts whose lease ran out: tried again after a backoff while attempts are left, else failed with the reason. An
 * agent whose work has failed for good is told to stop, should it still live. Answers the attempts that it ended.
 */
export async function expireLeases(
  pool: Pool,
  _actor: Actor,
  learn: Learn,
  send: Send,
  stamp: Stamp,
): Promise<Expired[]> {
  const all: Expired[] = [];
  for (;;) {
    const { rows, stops } = await pool.begin(async (db) => {
      const expired = await endExpired(db);
      const failed = expired.filter((row) => row.status === "failed");
      const messages = failed.map((row) => ({ ...cancelled(row, stamp), toAgent: row.toAgent, taskId: row.taskId }));
      await insertOutbox(db, messages);
      await learn(
        db,
        failed.map(({ taskId }) => taskId),
      );
      return { rows: expired, stops: messages };
    });
    await deliver(pool, stops, send);
    all.push(...rows);
    if (rows.length < SWEEP_LIMIT) return all;
  }
}

/** An attempt whose lease ran out, and where its work went. */
export type Expired = {
  taskId: string;
  traceId: string;
  runId: string;
  toAgent: string;
  attempt: number;
  status: "approved" | "failed";
};

async function endExpired(db: Db): Promise<Expired[]> {
  return await db<Expired[]>`
    with expired as materialized (
      select task_id, attempts_used >= max_attempts as last, format(
        case
          when started_at is null then 'agent %1$s did not take the work in time'
          when lease_until >= deadline then 'the work ran past its timeout of %2$s s and agent %1$s did not end it'
          else 'agent %1$s fell silent: its lease ran out'
        end || ' (attempt %3$s of %4$s)', to_agent, timeout_seconds, attempts_used, max_attempts
      ) as reason
      from tasks
      where status = 'executing' and lease_until <= now()
      order by task_id
      limit ${SWEEP_LIMIT}
      for no key update skip locked
    )
    update tasks set
      status = case when last then 'failed' else 'approved' end::task_status,
      error_message = case when last then reason end,
      completed_at = case when last then now() end,
      ready_at = case when not last then now() + make_interval(secs => ${backoffSql(db)}) end,
      lease_until = null,
      deadline = null
    from expired
    where tasks.task_id = expired.task_id
    returning tasks.task_id, trace_id, run_id, to_agent, attempt, status
  `;
}

/** Sends what a crash left in the outbox. Answers how many messages the queues have taken. */
export async function sendLeftovers(db: Db, _actor: Actor, send: Send): Promise<number> {
  let sent = 0;
  for (;;) {
    const leftovers = await claimLeftovers(db, SWEEP_LIMIT);
    sent += await deliver(db, leftovers, send);
    if (leftovers.length < SWEEP_LIMIT) return sent;
  }
}
