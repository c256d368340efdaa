import { readFileSync } from "node:fs";
import type { AuditEvent, ChainHead } from "../lib/access/audit/schema.ts";
import { type Verdict, verify } from "../lib/access/audit/verify.ts";
import { all, call } from "./api.ts";
import type { Flag, Given, Subject } from "./command.ts";
import { EXIT, Refused } from "./exit.ts";
import { asTable, type Told } from "./output.ts";

const FILTERS: Flag[] = [
  { flags: "--actor <name>", says: "who did it" },
  { flags: "--action <action>", says: "what, such as work.approved or access.refused" },
  { flags: "--object-id <id>", says: "to what: a task_id, the name of an agent, a key_id" },
  { flags: "--after <time>", says: "at this time or later, such as 2027-01-31T00:00:00Z" },
  { flags: "--before <time>", says: "earlier than this" },
];

export const audit: Subject = {
  name: "audit",
  says: "who did what in the team",
  commands: [
    {
      usage: "list",
      says: "the latest, newest first",
      flags: [...FILTERS, { flags: "--limit <n>", says: "how many, 1000 at most", default: "50" }],
      run: async (_words, given) => {
        const query = new URLSearchParams({ ...filtersOf(given), limit: given["limit"] ?? "50" });
        const { items } = await call<{ items: AuditEvent[] }>("GET", `/audit?${query}`);
        return { data: items, ...asTable(items.map(rowOf), "Nothing was done.") };
      },
    },
    {
      usage: "export",
      says: "all of it, newest first, a line of JSON an event",
      flags: FILTERS,
      run: async (_words, given) => {
        const found = await all<AuditEvent>("/audit", filtersOf(given), "1000");
        return { data: found, text: found.map((event) => JSON.stringify(event)).join("\n") };
      },
    },
    {
      usage: "verify",
      says: "recompute the chain of hashes here, line by line, and name the first link that does not hold",
      flags: [
        { flags: "--file <file>", says: "of lines that were exported, whole, and not of those of the API" },
        { flags: "--head <seq:hash>", says: "a link that was noted before, which must still be there" },
      ],
      run: async (_words, given) => {
        const noted = given["head"] === undefined ? null : headOf(given["head"]);
        return told(given["file"] === undefined ? await served(noted) : verify(linesOf(given["file"]), noted));
      },
    },
  ],
};

/** The server's own word of how far the chain has come is taken first: a line that it has not any more is missed. */
async function served(noted: ChainHead | null): Promise<Verdict> {
  const { head } = await call<{ head: ChainHead | null }>("GET", "/audit?limit=1");
  const lines = await all<AuditEvent>("/audit", {}, "1000");
  const verdict = verify(lines, head);
  return verdict.broken === null && noted !== null ? verify(lines, noted) : verdict;
}

function told(verdict: Verdict): Told {
  const { checked, waiting, from, to, broken } = verdict;
  if (broken !== null) {
    const which = broken.audit_id === null ? "" : ` (audit_id ${broken.audit_id})`;
    throw new Refused(`The chain does not hold at ${broken.chain_seq}${which}: ${broken.why}.`);
  }
  const more = waiting === 0 ? "" : ` ${waiting} have no place yet: the sweep gives them one.`;
  if (to === null) return { data: verdict, text: "", note: `Nothing is in the chain.${more}` };
  const older = from === 1 ? "" : ` What was before ${from} is no longer kept.`;
  const keep = "Note the head elsewhere, and give it as --head next time.";
  return { data: verdict, text: `${to.chain_seq}:${to.hash}`, note: `${checked} hold.${older}${more} ${keep}` };
}

function headOf(text: string): ChainHead {
  const [, seq = "", hash = ""] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (hash === "") throw new Refused(`${text} is no head. Give one as verify prints it: SEQ:HASH.`, EXIT.usage);
  return { chain_seq: Number(seq), hash };
}

function linesOf(file: string): AuditEvent[] {
  try {
    const lines = readFileSync(file, "utf8").split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as AuditEvent);
  } catch (cause) {
    throw new Refused(`${file} has no lines of JSON. Make it with: waybill audit export > FILE`, EXIT.usage, { cause });
  }
}

function filtersOf({ actor, action, objectId, after, before }: Given): Record<string, string> {
  const given = { actor, action, object_id: objectId, after, before };
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function rowOf({ at, actor, action, object_kind, object_id, reason, source_ip }: AuditEvent) {
  return { at, actor, action, object: `${object_kind} ${object_id ?? ""}`, reason, source_ip };
}
