import type { Db, Pool } from "../../runtime/postgres/db.ts";
import type { System } from "../actor.ts";
import { linkOf } from "./link.ts";
import { type AuditRow, auditColumns, toEvent } from "./rows.ts";

/** Under this id is the chain of what is no team's. */
export const NO_TEAM = "00000000-0000-0000-0000-000000000000";

/** How many rows get their place in one transaction. */
const BATCH = 500;

/**
 * Transactions commit in another order than their rows say: within this time nearly all have, and the chain is in the order of time. It
 * need not be: a row that commits later gets the next place there is then, after rows of a later time, so that none is left out and
 * none moves. The chain proves what was there when it was written, and that nothing of it has changed since.
 */
const LAG_SECONDS = 5;

/**
 * Gives rows that have none their places in the chains, each team's for itself, for `ms` milliseconds; the next call goes on with the
 * rest. A chain that another writes at this moment is left to that. Answers how many got one.
 */
export async function chainAudit(pool: Pool, _actor: System, ms: number, lagSeconds = LAG_SECONDS): Promise<number> {
  const until = Date.now() + ms;
  const teams = await pool<{ chain: string }[]>`
    select distinct coalesce(team_id, ${NO_TEAM}::uuid) as chain from audit_events where chain_seq is null
  `;
  let done = 0;
  for (const { chain } of teams) {
    let some = BATCH;
    while (some === BATCH && Date.now() < until) {
      some = await pool.begin(async (db) => await chainBatch(db, chain, lagSeconds));
      done += some;
    }
  }
  return done;
}

async function chainBatch(db: Db, chain: string, lagSeconds: number): Promise<number> {
  await db`insert into audit_chains (team_id) values (${chain}) on conflict on constraint audit_chains_pkey do nothing`;
  const [head] = await db<{ chainSeq: number; hash: Buffer }[]>`
    select chain_seq::float8 as chain_seq, hash from audit_chains where team_id = ${chain} for update skip locked
  `;
  if (head === undefined) return 0;
  // In a statement after the lock: it sees what the one before has written.
  const rows = await db<AuditRow[]>`
    select ${auditColumns(db)} from audit_events
    where team_id is not distinct from ${chain === NO_TEAM ? null : chain}::uuid and chain_seq is null
      and at < clock_timestamp() - make_interval(secs => ${lagSeconds}::float8)
    order by at, audit_id
    limit ${BATCH}
  `;
  if (rows.length === 0) return 0;
  let { chainSeq, hash } = { chainSeq: head.chainSeq, hash: head.hash.toString("hex") };
  const links = rows.map((row) => {
    chainSeq += 1;
    hash = linkOf(hash, { ...toEvent(row), chain_seq: chainSeq, hash: null });
    return { audit_id: row.auditId, at: row.at.toISOString(), chain_seq: chainSeq, hash };
  });
  await db`
    update audit_events as event set chain_seq = link.chain_seq, hash = decode(link.hash, 'hex')
    from jsonb_to_recordset(${db.json(links)}::jsonb) as link (audit_id uuid, at timestamptz, chain_seq bigint, hash text)
    where event.audit_id = link.audit_id and event.at = link.at
  `;
  await db`
    update audit_chains set chain_seq = ${chainSeq}, hash = decode(${hash}, 'hex'), updated_at = now() where team_id = ${chain}
  `;
  return rows.length;
}
