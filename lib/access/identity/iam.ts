import * as z from "zod";
import type { Db } from "../../runtime/postgres/db.ts";
import { type Caller, DEFAULT_TEAM, type Role } from "../actor.ts";
import { membershipOf } from "./people.ts";

const Signed = z.object({ userArn: z.string().min(1) });

/** The ARN of who has signed a call, as API Gateway and function URLs tell it; undefined where nobody has. */
export function signerOf(iam: unknown): string | undefined {
  return Signed.safeParse(iam).data?.userArn;
}

/**
 * By which ARN a principal is known: a session of a role by that of the role. A session does not tell the path of its role, so that one
 * with a path is known without it.
 */
export function principalOf(arn: string): string {
  const [, partition, account, role] = /^arn:([^:]+):sts::(\d+):assumed-role\/([^/]+)\/.+$/.exec(arn) ?? [];
  return role === undefined ? arn : `arn:${partition}:iam::${account}:role/${role}`;
}

/** Who has signed as a caller: in the team of the member that has it as its subject, else in the team default with `usual`. */
export async function findSigner(db: Db, arn: string, usual: Role, uuidOf: (text: string) => string): Promise<Caller> {
  const principal = principalOf(arn);
  const member = await membershipOf(db, principal);
  return {
    kind: "iam",
    id: member?.id ?? uuidOf(principal),
    name: arn,
    team: member?.team ?? DEFAULT_TEAM,
    role: member?.role ?? usual,
    scopes: null,
    keyId: null,
    agent: null,
  };
}
