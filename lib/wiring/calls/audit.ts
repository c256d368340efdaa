import { listEvents } from "../../access/audit/read.ts";
import type { listAudit } from "../../access/audit/routes.ts";
import type { Answers } from "../serve.ts";
import { inTeam } from "../team.ts";

const LINES = "application/x-ndjson";

/** A page of who did what; as lines where they are asked for. */
export const list: Answers<typeof listAudit> = async (plane, actor, { query, headers }) => {
  const { format = headers.accept?.includes(LINES) ? "jsonl" : "json", ...asked } = query;
  const page = await inTeam(plane, actor, async (db) => await listEvents(db, actor, asked));
  if (format === "json") return { status: 200, body: page };
  const { items, next_cursor } = page;
  const bytes = Buffer.from(items.map((event) => `${JSON.stringify(event)}\n`).join(""));
  const next = next_cursor === null ? {} : { "x-next-cursor": next_cursor };
  return { status: 200, bytes, headers: { "content-type": LINES, ...next } };
};
