import { type Page, pageOf } from "../../input/page.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { type Actor, teamOf } from "../actor.ts";
import { type AuditRow, auditColumns, toEvent } from "./rows.ts";
import type { AuditEvent, ChainHead } from "./schema.ts";

/** Which of a team's events: those that fit all that is given. `after` and `before` are times, the first of them included. */
export type Asked = {
  limit: number;
  cursor?: string | undefined;
  actor?: string | undefined;
  action?: string | undefined;
  object_id?: string | undefined;
  after?: string | undefined;
  before?: string | undefined;
};

/** A page of what was done in the actor's team, newest first, and how far its chain has come; null where it has not begun. */
export async function listEvents(
  db: Db,
  actor: Actor,
  asked: Asked,
): Promise<Page<AuditEvent> & { head: ChainHead | null }> {
  const team = teamOf(actor);
  const { limit, cursor, after, before } = asked;
  // Before the lines: the chain that they are has come at least as far.
  const [head] = await db<{ chainSeq: number; hash: Buffer }[]>`
    select chain_seq::float8 as chain_seq, hash from audit_chains where team_id = ${team} and chain_seq > 0
  `;
  const rows = await db<AuditRow[]>`
    select ${auditColumns(db)} from audit_events
    where team_id = ${team}
      ${cursor === undefined ? db`` : db`and audit_id < ${cursor}`}
      ${asked.actor === undefined ? db`` : db`and actor = ${asked.actor}`}
      ${asked.action === undefined ? db`` : db`and action = ${asked.action}`}
      ${asked.object_id === undefined ? db`` : db`and object_id = ${asked.object_id}`}
      ${after === undefined ? db`` : db`and at >= ${after}`}
      ${before === undefined ? db`` : db`and at < ${before}`}
    order by audit_id desc
    limit ${limit + 1}
  `;
  const page = pageOf(rows.map(toEvent), limit, ({ audit_id }) => audit_id);
  return { ...page, head: head === undefined ? null : { chain_seq: head.chainSeq, hash: head.hash.toString("hex") } };
}
