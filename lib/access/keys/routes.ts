import * as z from "zod";
import { whole } from "../../input/whole.ts";
import { Uuid } from "../../protocol/messages.ts";
import type { Route } from "../../runtime/http/route.ts";
import type { Need } from "../may.ts";
import { CreateKey, Key, MadeKey, RotateKey } from "./schema.ts";

const KEEPER: Need = { role: "admin", scope: "access:write" };
const params = z.object({ key_id: Uuid });
const unknown = { description: "The team has no such key" };

export const createKey = {
  method: "POST",
  path: "/keys",
  operation: "createKey",
  summary: "Make a key. It is answered whole this once. It may no more than whoever makes it.",
  access: KEEPER,
  function: "manage-access",
  body: CreateKey,
  answers: {
    201: { description: "The key, with its secret", schema: MadeKey },
    404: { description: "Nobody in the team has the name in `user`" },
    409: { description: "A key that is not revoked has this name" },
  },
} as const satisfies Route;

export const listKeys = {
  method: "GET",
  path: "/keys",
  operation: "listKeys",
  summary: "The team's keys without their secrets, latest first.",
  access: KEEPER,
  function: "manage-access",
  query: z.strictObject({
    revoked: z
      .enum(["true", "false"])
      .transform((word) => word === "true")
      .optional()
      .describe("those that are revoked, or those that are not"),
    limit: whole(1, 100).default(20),
    cursor: Uuid.optional().describe("next_cursor of the page before"),
  }),
  answers: {
    200: { description: "One page", schema: z.strictObject({ items: z.array(Key), next_cursor: Uuid.nullable() }) },
  },
} as const satisfies Route;

export const revokeKey = {
  method: "DELETE",
  path: "/keys/{key_id}",
  operation: "revokeKey",
  summary: "Revoke a key for good. The LLM gateway takes it for 30 seconds more at most.",
  access: KEEPER,
  function: "manage-access",
  repeatable: true,
  params,
  answers: { 200: { description: "The key as it is now", schema: Key }, 404: unknown },
} as const satisfies Route;

export const rotateKey = {
  method: "POST",
  path: "/keys/{key_id}/rotate",
  operation: "rotateKey",
  summary: "Give a key another secret. It is answered whole this once; the one before stays good for a while.",
  access: KEEPER,
  function: "manage-access",
  params,
  body: RotateKey,
  answers: {
    200: { description: "The key, with its new secret", schema: MadeKey },
    404: unknown,
    409: { description: "The key has been revoked or has expired" },
  },
} as const satisfies Route;

/** Every call about keys. */
export const keyRoutes = [createKey, listKeys, revokeKey, rotateKey] satisfies Route[];
