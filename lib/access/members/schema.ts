import * as z from "zod";
import { must } from "../../input/faults.ts";
import { isPlainName, PLAIN_NAME } from "../../input/plain-name.ts";
import { ROLES } from "../actor.ts";

/** A person's name as users has it: what others than people are called has a colon. */
export const MemberName = z
  .string()
  .max(200)
  .regex(/^[^\s:](?:[^:]*[^\s:])?$/, must("be 1 to 200 characters without a colon, and no space first or last"))
  .refine(isPlainName, PLAIN_NAME)
  .refine((name) => name.toLowerCase() !== "policy", must("not be the name of the approval policy"));

/** A member of a team. */
export const Member = z
  .strictObject({
    name: z.string(),
    role: z.enum(ROLES),
    subject: z
      .string()
      .nullable()
      .describe("who it is elsewhere: ISSUER|SUB of OIDC, or the ARN of an IAM role or user"),
    created_at: z.iso.datetime(),
  })
  .meta({ id: "Member" });
export type Member = z.infer<typeof Member>;

/** What a member is to be. */
export const PutMember = z.strictObject({
  role: z.enum(ROLES),
  subject: z
    .string()
    .min(1)
    .max(2048)
    .optional()
    .describe("who it is elsewhere, ISSUER|SUB of OIDC or an ARN; as it was where left out"),
});
export type PutMember = z.output<typeof PutMember>;
