import * as z from "zod";
import { whole } from "../../input/whole.ts";
import type { Route } from "../../runtime/http/route.ts";
import { Member, MemberName, PutMember } from "./schema.ts";

const params = z.object({ name: MemberName });

export const listMembers = {
  method: "GET",
  path: "/members",
  operation: "listMembers",
  summary: "Who is in the team, by name.",
  access: { role: "admin", scope: "access:write" },
  function: "manage-access",
  query: z.strictObject({
    limit: whole(1, 100).default(20),
    cursor: MemberName.optional().describe("next_cursor of the page before"),
  }),
  answers: {
    200: {
      description: "One page",
      schema: z.strictObject({ items: z.array(Member), next_cursor: z.string().nullable() }),
    },
  },
} as const satisfies Route;

export const putMember = {
  method: "PUT",
  path: "/members/{name}",
  operation: "putMember",
  summary: "Take a person into the team, or give it another role.",
  access: { role: "owner", scope: "access:write" },
  function: "manage-access",
  repeatable: true,
  params,
  body: PutMember,
  answers: {
    200: { description: "The member as it is now", schema: Member },
    409: { description: "The team would have no owner, or the subject is somebody else's" },
  },
} as const satisfies Route;

export const deleteMember = {
  method: "DELETE",
  path: "/members/{name}",
  operation: "deleteMember",
  summary: "Take a person out of the team, and revoke its keys there.",
  access: { role: "owner", scope: "access:write" },
  function: "manage-access",
  params,
  answers: {
    204: { description: "It is out" },
    404: { description: "Nobody in the team has this name" },
    409: { description: "The team would have no owner" },
  },
} as const satisfies Route;

/** Every call about members. */
export const memberRoutes = [listMembers, putMember, deleteMember] satisfies Route[];
