import { type Actor, teamOf } from "../../access/actor.ts";
import { createKey, listKeys, mustBeGood, revokeKey } from "../../access/keys/keys.ts";
import { rotateKey } from "../../access/keys/rotate.ts";
import type * as keyRoutes from "../../access/keys/routes.ts";
import { deleteMember, listMembers, putMember } from "../../access/members/members.ts";
import type * as memberRoutes from "../../access/members/routes.ts";
import { lockMembers } from "../../access/members/users.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { Answers } from "../serve.ts";
import { inTeam } from "../team.ts";

/**
 * Runs it in one transaction for a caller whose key is good, as the system: people may be in several teams, so that who joins one may be known
 * by another alone, and a team's own role changes no memberships.
 */
async function asSystem<T>(plane: ControlPlane, actor: Actor, run: (db: Db) => Promise<T>): Promise<T> {
  return (await plane.db.begin(async (db) => {
    await lockMembers(db, teamOf(actor));
    await mustBeGood(db, actor);
    return await run(db);
  })) as T;
}

/** Makes a key; the answer alone has it whole. */
export const create: Answers<typeof keyRoutes.createKey> = async (plane, actor, { body, callId, log }) => {
  const made = await inTeam(plane, actor, async (db) => await createKey(db, actor, { ...body, keyId: callId }));
  log.info("key created", { key_id: made.key_id, prefix: made.prefix });
  return { status: 201, body: made };
};

/** A page of the team's keys. */
export const list: Answers<typeof keyRoutes.listKeys> = async (plane, actor, { query }) => {
  return { status: 200, body: await inTeam(plane, actor, async (db) => await listKeys(db, actor, query)) };
};

/** Revokes a key; a revoked one stays as it is. */
export const revoke: Answers<typeof keyRoutes.revokeKey> = async (plane, actor, { params: { key_id }, log }) => {
  const key = await inTeam(plane, actor, async (db) => await revokeKey(db, actor, key_id));
  log.info("key revoked", { key_id, prefix: key.prefix });
  return { status: 200, body: key };
};

/** Gives a key another secret; the answer alone has it whole. */
export const rotate: Answers<typeof keyRoutes.rotateKey> = async (plane, actor, { params: { key_id }, body, log }) => {
  const { grace_seconds } = body;
  const made = await inTeam(plane, actor, async (db) => await rotateKey(db, actor, key_id, grace_seconds));
  log.info("key rotated", { key_id, prefix: made.prefix });
  return { status: 200, body: made };
};

/** A page of who is in the team. */
export const members: Answers<typeof memberRoutes.listMembers> = async (plane, actor, { query }) => {
  return { status: 200, body: await inTeam(plane, actor, async (db) => await listMembers(db, actor, query)) };
};

/** Takes a person into the team, or gives it another role. */
export const put: Answers<typeof memberRoutes.putMember> = async (plane, actor, { params: { name }, body, log }) => {
  const member = await asSystem(plane, actor, async (db) => await putMember(db, actor, name, body));
  log.info("member put", { role: member.role });
  return { status: 200, body: member };
};

/** Takes a person out of the team. */
export const remove: Answers<typeof memberRoutes.deleteMember> = async (plane, actor, { params: { name }, log }) => {
  await asSystem(plane, actor, async (db) => await deleteMember(db, actor, name));
  log.info("member removed");
  return { status: 204 };
};
