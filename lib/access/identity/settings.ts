import * as z from "zod";
import { must } from "../../input/faults.ts";
import { setting } from "../../runtime/settings.ts";
import { ROLES } from "../actor.ts";

const Grant = z.union([z.enum(ROLES), z.strictObject({ team: z.string().default("default"), role: z.enum(ROLES) })]);

/** JSON of groups, each with what who is in it may: a role in the team default, or a team and a role. */
const Roles = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue({ code: "custom", message: 'must be JSON, such as {"ops":"admin"}' });
      return z.NEVER;
    }
  })
  .pipe(z.record(z.string(), Grant))
  .transform((roles) =>
    Object.entries(roles).map(([group, grant]) =>
      typeof grant === "string"
        ? { group, teamName: "default", role: grant }
        : { group, teamName: grant.team, role: grant.role },
    ),
  );
export type Grants = z.output<typeof Roles>;

/** Who is taken for whom, beside keys. */
export const identitySettings = {
  issuer: setting({
    env: "OIDC_ISSUER",
    takes: z
      .url({ protocol: /^https?$/, ...must("be the URL of an OIDC issuer") })
      .refine(
        (url) => url.startsWith("https://") || LOOPBACK.test(url),
        must("be https://, or http:// on this machine"),
      ),
    optional: true,
    example: "https://login.example.com",
    says: "An OIDC issuer whose tokens are taken beside keys; none where it is not set.",
  }),
  audience: setting({
    env: "OIDC_AUDIENCE",
    takes: z.string(),
    default: "waybill",
    says: "For whom the issuer's tokens must be (`aud`).",
  }),
  roles: setting({
    env: "OIDC_ROLES",
    takes: Roles,
    default: "{}",
    says: 'What the groups of a token may, as JSON: a role in the team default, or a team and a role, such as {"ops":"admin","acme-devs":{"team":"acme","role":"member"}}. The first group of it that a token has decides on the team, the highest role there counts.',
  }),
  groupsClaim: setting({
    env: "OIDC_GROUPS_CLAIM",
    takes: z.string(),
    default: "groups",
    says: "The claim of a token that lists its groups.",
  }),
  nameClaim: setting({
    env: "OIDC_NAME_CLAIM",
    takes: z.string(),
    default: "email",
    says: "The claim of a token that names a person who is seen first.",
  }),
  iamRole: setting({
    env: "IAM_ROLE",
    takes: z.enum(ROLES),
    default: "owner",
    says: "With authorization AWS_IAM: the role in the team default of a principal that no member has as its subject. Its IAM policy has decided which calls it may make.",
  }),
};

const LOOPBACK = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(\/|$)/;
