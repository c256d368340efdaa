import { linkOf } from "./link.ts";
import type { AuditEvent, ChainHead } from "./schema.ts";

/** A line, as far as it is looked at; all else of it counts for its hash. */
type Line = Pick<AuditEvent, "audit_id" | "chain_seq" | "hash">;

/**
 * What lines prove. `from`: the first place that is kept, which takes the hash before it on trust unless it is 1; `waiting`: lines
 * without a place yet; `broken`: the first place at which the chain does not hold, and why.
 */
export type Verdict = {
  checked: number;
  waiting: number;
  from: number | null;
  to: ChainHead | null;
  broken: { chain_seq: number; audit_id: string | null; why: string } | null;
};

/**
 * Checks the chain of one team by all its lines, in any order. `head`: what the chain had come to, by the server or by somebody who has
 * noted it; the chain must have that link.
 */
export function verify(lines: readonly Line[], head: ChainHead | null): Verdict {
  const placed = lines
    .flatMap((line) =>
      line.chain_seq === null || line.hash === null ? [] : [{ ...line, seq: line.chain_seq, kept: line.hash, line }],
    )
    .toSorted((a, b) => a.seq - b.seq);
  const [first] = placed;
  const waiting = lines.length - placed.length;
  const verdict = (checked: number, broken: Verdict["broken"]): Verdict => {
    const last = placed[checked - 1];
    return {
      checked,
      waiting,
      from: first?.seq ?? null,
      to: last === undefined ? null : { chain_seq: last.seq, hash: last.kept },
      broken,
    };
  };
  let before = { seq: (first?.seq ?? 1) - 1, hash: "" };
  for (const [i, { seq, kept, audit_id, line }] of placed.entries()) {
    const broken = (why: string) => verdict(i, { chain_seq: seq, audit_id, why });
    if (seq === before.seq) return broken("it is there twice: a line was inserted");
    if (seq !== before.seq + 1) {
      const gone = before.seq + 1;
      return verdict(i, { chain_seq: gone, audit_id: null, why: "it is not there: a line was removed" });
    }
    // What came before the first line that is kept is gone with its month.
    const anchored = i > 0 || seq === 1;
    if (anchored && linkOf(before.hash, line) !== kept)
      return broken("it is not what was hashed: the line was changed, or put in its place");
    if (seq === head?.chain_seq && kept !== head.hash)
      return broken("its hash is not that of the head: the chain was written anew");
    before = { seq, hash: kept };
  }
  if (head !== null && head.chain_seq > before.seq && (placed.length > 0 || head.chain_seq > 0)) {
    return verdict(placed.length, {
      chain_seq: before.seq + 1,
      audit_id: null,
      why: `the chain ends before ${head.chain_seq}: lines were removed`,
    });
  }
  return verdict(placed.length, null);
}
