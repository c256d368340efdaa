import * as z from "zod";
import { Timestamp, Uuid } from "../../protocol/messages.ts";
import { ACTIONS } from "../record.ts";

const text = z.string().nullable();

/** One thing that was done, as it is told, exported and hashed. */
export const AuditEvent = z
  .strictObject({
    audit_id: Uuid,
    at: Timestamp,
    team_id: Uuid.nullable(),
    actor_kind: z.enum(["user", "service", "agent", "iam", "system", "unknown"]),
    actor_id: text.describe("the user, or else the key, that actor names"),
    actor: z.string(),
    key_id: Uuid.nullable(),
    on_behalf_of: text,
    action: z.enum(ACTIONS),
    object_kind: z.string(),
    object_id: text,
    reason: text,
    details: z.record(z.string(), z.unknown()),
    source_ip: text,
    trace_id: Uuid.nullable(),
    chain_seq: z
      .int()
      .positive()
      .nullable()
      .describe("its place in the team's chain; null until the sweep has come by"),
    hash: text.describe("SHA-256, in hexadecimal, of the hash before it and the canonical JSON of all the rest"),
  })
  .meta({ id: "AuditEvent" });
export type AuditEvent = z.infer<typeof AuditEvent>;

/** How far a team's chain has come: the place and the hash of its last link. */
export const ChainHead = z.strictObject({ chain_seq: z.int(), hash: z.string() });
export type ChainHead = z.infer<typeof ChainHead>;
