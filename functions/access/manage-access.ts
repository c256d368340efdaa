import { createKey, listKeys, revokeKey, rotateKey } from "../../lib/access/keys/routes.ts";
import { deleteMember, listMembers, putMember } from "../../lib/access/members/routes.ts";
import { create, list, members, put, remove, revoke, rotate } from "../../lib/wiring/calls/access.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";

/** /keys: makes, lists, rotates and revokes keys. /members: who is in the team. */
export const handler = httpFunction(
  functionPlane(),
  [createKey, create],
  [listKeys, list],
  [revokeKey, revoke],
  [rotateKey, rotate],
  [listMembers, members],
  [putMember, put],
  [deleteMember, remove],
);
