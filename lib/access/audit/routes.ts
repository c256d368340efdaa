import * as z from "zod";
import { whole } from "../../input/whole.ts";
import { Timestamp, Uuid } from "../../protocol/messages.ts";
import type { Route } from "../../runtime/http/route.ts";
import { ACTIONS } from "../record.ts";
import { AuditEvent, ChainHead } from "./schema.ts";

export const listAudit = {
  method: "GET",
  path: "/audit",
  operation: "listAudit",
  summary:
    "Who did what in the team, newest first. With format=jsonl a line an event, and next_cursor in x-next-cursor.",
  access: { role: "admin", scope: "audit:read" },
  function: "get-audit",
  query: z.strictObject({
    actor: z.string().max(2048).optional().describe("who did it, as actor says"),
    action: z.enum(ACTIONS).optional(),
    object_id: z.string().max(2048).optional().describe("to what: a task_id, the name of an agent, a key_id"),
    after: Timestamp.optional().describe("at this time or later"),
    before: Timestamp.optional().describe("earlier than this"),
    format: z
      .enum(["json", "jsonl"])
      .optional()
      .describe("json, unless the header Accept asks for application/x-ndjson"),
    limit: whole(1, 1000).default(100),
    cursor: Uuid.optional().describe("next_cursor of the page before"),
  }),
  headers: z.object({ accept: z.string().max(1000).optional() }),
  answers: {
    200: {
      description: "One page, and how far the team's chain of hashes has come",
      schema: z.strictObject({
        items: z.array(AuditEvent),
        next_cursor: Uuid.nullable(),
        head: ChainHead.nullable(),
      }),
      lines: true,
    },
  },
} as const satisfies Route;

/** Every call about the record of who did what. */
export const auditRoutes = [listAudit] satisfies Route[];
