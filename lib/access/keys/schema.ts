import * as z from "zod";
import { must } from "../../input/faults.ts";
import { AgentName, Timestamp, Uuid } from "../../protocol/messages.ts";
import { ROLES, SCOPES } from "../actor.ts";
import { MemberName } from "../members/schema.ts";

const KeyName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, must("be 1 to 63 lower-case letters, digits, ., _ and -, the first no sign"))
  .describe("by which people tell it; one of a team's keys that are not revoked has it");
const scopes = z
  .array(z.enum(SCOPES))
  .max(SCOPES.length)
  .transform((all) => [...new Set(all)].toSorted());
const limits = {
  requests_per_second: z.number().min(0.001).max(100_000).nullable(),
  bytes_per_day: z.int().positive().nullable(),
};

/** What a new key is to be. */
export const CreateKey = z
  .strictObject({
    name: KeyName,
    kind: z.enum(["user", "service", "agent"]).default("user").describe("whose: a person's, a program's or an agent's"),
    user: MemberName.optional().describe("of a person's: whose, by name; its maker's where left out"),
    agent: AgentName.optional().describe("of an agent's: which"),
    role: z.enum(ROLES).default("member").describe("the most that it may; of an agent's it says nothing"),
    scopes: scopes.nullable().default(null).describe("what of that; null: all"),
    expires_at: Timestamp.nullable().default(null),
    requests_per_second: limits.requests_per_second.default(null),
    bytes_per_day: limits.bytes_per_day.default(null),
  })
  .refine(({ kind, agent }) => (kind === "agent") === (agent !== undefined), {
    path: ["agent"],
    ...must("be given with kind agent, and with no other"),
  })
  .refine(({ kind, user }) => kind === "user" || user === undefined, {
    path: ["user"],
    ...must("be given with kind user alone"),
  });
export type CreateKey = z.output<typeof CreateKey>;

/** For how long the key before a rotation stays good. */
const WEEK_SECONDS = 604_800;
export const RotateKey = z
  .strictObject({
    grace_seconds: z
      .int()
      .min(0)
      .max(WEEK_SECONDS)
      .default(3600)
      .describe("for how long the old key stays good beside the new one"),
  })
  .default({ grace_seconds: 3600 });
export type RotateKey = z.output<typeof RotateKey>;

const fields = {
  key_id: Uuid,
  name: z.string(),
  prefix: z.string().describe("what the key begins with"),
  kind: z.enum(["user", "service", "agent"]),
  user: z.string().nullable(),
  agent: z.string().nullable(),
  role: z.enum(ROLES).nullable(),
  scopes: z.array(z.enum(SCOPES)).nullable(),
  requests_per_second: z.number().nullable(),
  bytes_per_day: z.number().nullable(),
  created_by: z.string(),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime().nullable(),
  last_used_at: z.iso.datetime().nullable().describe("to the minute"),
  previous_until: z.iso.datetime().nullable().describe("until when the key before the last rotation is good"),
  revoked_at: z.iso.datetime().nullable(),
  revoked_by: z.string().nullable(),
};

/** A key as it is told: without what makes it one. */
export const Key = z.strictObject(fields).meta({ id: "Key" });
export type Key = z.infer<typeof Key>;

/** A key that was just made, with its secret. */
export const MadeKey = z
  .strictObject({ ...fields, key: z.string().describe("the whole key; it is told this once and kept nowhere") })
  .meta({ id: "MadeKey" });
export type MadeKey = z.infer<typeof MadeKey>;
