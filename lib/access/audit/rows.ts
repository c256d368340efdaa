import type { Db } from "../../runtime/postgres/db.ts";
import type { AuditEvent } from "./schema.ts";

/** A row as the driver answers it. */
export type AuditRow = {
  auditId: string;
  at: Date;
  teamId: string | null;
  actorKind: string;
  actorId: string | null;
  actor: string;
  keyId: string | null;
  onBehalfOf: string | null;
  action: string;
  objectKind: string;
  objectId: string | null;
  reason: string | null;
  details: Record<string, unknown>;
  sourceIp: string | null;
  traceId: string | null;
  chainSeq: number | null;
  hash: Buffer | null;
};

/** What of a row is told. */
export const auditColumns = (db: Db) => db`
  audit_id, at, team_id, actor_kind, actor_id, actor, key_id, on_behalf_of, action, object_kind, object_id, reason, details, source_ip,
  trace_id, chain_seq::float8 as chain_seq, hash
`;

/** A row as it is told. */
export function toEvent(row: AuditRow): AuditEvent {
  return {
    audit_id: row.auditId,
    at: row.at.toISOString(),
    team_id: row.teamId,
    actor_kind: row.actorKind as AuditEvent["actor_kind"],
    actor_id: row.actorId,
    actor: row.actor,
    key_id: row.keyId,
    on_behalf_of: row.onBehalfOf,
    action: row.action as AuditEvent["action"],
    object_kind: row.objectKind,
    object_id: row.objectId,
    reason: row.reason,
    details: row.details,
    source_ip: row.sourceIp,
    trace_id: row.traceId,
    chain_seq: row.chainSeq,
    hash: row.hash?.toString("hex") ?? null,
  };
}
