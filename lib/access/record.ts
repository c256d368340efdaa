import type { Db, Fragment } from "../runtime/postgres/db.ts";
import type { Actor } from "./actor.ts";

/** What is kept of who did what: the names are stable, for programs. */
export const ACTIONS = [
  "work.submitted",
  "work.approved",
  "work.rejected",
  "work.cancelled",
  "work.retried",
  "work.rerun",
  "work.handed_over",
  "work.deleted",
  "work.feedback",
  "agent.stored",
  "agent.deactivated",
  "key.created",
  "key.revoked",
  "key.rotated",
  "member.put",
  "member.removed",
  "team.created",
  "switch.set",
  "access.refused",
  "message.refused",
] as const;
export type Action = (typeof ACTIONS)[number];

/** What was done. `details` is small, and has no text of anybody, no parameters and no secrets. */
export type Event = {
  action: Action;
  /** To what: its kind, and its id or name. */
  object: readonly [kind: "work" | "agent" | "key" | "member" | "team" | "switch" | "call", id: string];
  /** Whose it is, where the actor acts for all teams. */
  team?: string | undefined;
  reason?: string | null | undefined;
  onBehalfOf?: string | null | undefined;
  details?: Readonly<Record<string, string | number | boolean | null>> | undefined;
};

/** Who did it, where nobody is known. */
export type Stranger = Pick<Actor, "team" | "name" | "origin"> & { kind: "unknown" };

/** Keeps what an actor has done, in the transaction of the change: where that is rolled back it was not done. */
export async function audit(db: Db, actor: Actor | Stranger, event: Event): Promise<void> {
  await auditing(db, actor, event);
}

/**
 * The same as a part of the statement that makes the change, where `from` names rows of it: one is kept for each of them, and where there are
 * none nothing.
 */
export function auditing(db: Db, actor: Actor | Stranger, event: Event, from: Fragment = db``): Fragment {
  const { kind, name, team, origin } = actor;
  const { action, object, reason = null, onBehalfOf = null, details = {} } = event;
  const [id, keyId] = "id" in actor ? [actor.id, actor.keyId] : [null, null];
  return db`
    insert into audit_events (
      team_id, actor_kind, actor_id, actor, key_id, on_behalf_of, action, object_kind, object_id, reason, details, source_ip, trace_id
    )
    select ${event.team ?? team}::uuid, ${kind}::text, ${id}::text, ${name}::text, ${keyId}::uuid, ${onBehalfOf}::text, ${action}::text,
      ${object[0]}::text, ${object[1]}::text, ${reason}::text, ${db.json(details)}::jsonb, ${origin?.ip ?? null}::text,
      ${origin?.traceId ?? null}::uuid
    ${from}
  `;
}
