import parseRange from "range-parser";
import type { Actor } from "../../access/actor.ts";
import { ofTeam } from "../../access/of-team.ts";
import { CallerError } from "../../errors.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { unknownWork } from "../core/unknown-work.ts";
import { missingOutput, type Numbered } from "./missing-output.ts";

/** Which output is asked for: of the attempt that ended the work, or the latest, and all its steps unless told otherwise; `range` as the Range header has it. */
export type OutputAsked = {
  taskId: string;
  attempt?: number | undefined;
  step?: number | undefined;
  range?: string | undefined;
  /** What one answer carries at most. */
  maxBytes: number;
};

/**
 * The output of work in step order, byte for byte, or the part that `range` names: the bytes `start` to `end` (inclusive) of `size`;
 * empty, with end -1, where nothing was written. `missing` says what of it is not there, as missingOutput does. Throws a CallerError:
 * 404 where there is no such work or it never had the attempt or the step, 413 and 416 as rangeOf does.
 */
export async function readOutput(
  db: Db,
  actor: Actor,
  { taskId, attempt, step, range, maxBytes }: OutputAsked,
): Promise<OutputRange & { bytes: Buffer; missing: string }> {
  const whole = attempt === undefined && step === undefined;
  const [pieces, told] = await Promise.all([
    findPieces(db, actor, taskId, attempt, step),
    whole ? findToldBytes(db, actor, taskId) : undefined,
  ]);
  if (pieces.length === 0) await mustHaveBeen(db, actor, taskId, attempt, step);
  const part = rangeOf(pieces, range, maxBytes);
  const bytes = await readRange(db, pieces, part.start, part.end);
  return { ...part, bytes, missing: missingOutput(pieces, told) };
}

/** Throws a CallerError, 404, where there is no such work, or where it never had the attempt or the step that is named. */
async function mustHaveBeen(db: Db, actor: Actor, taskId: string, attempt?: number, step?: number): Promise<void> {
  const [work] = await db<{ latest: number; hasStep: boolean }[]>`
    select attempt as latest, exists (
      select from execution_logs l
      where l.task_id = tasks.task_id and l.attempt = coalesce(${attempt ?? null}, ended_by, tasks.attempt)
        and l.step_number = ${step ?? null}
    ) as has_step
    from tasks where task_id = ${taskId} and ${ofTeam(db, actor)}
  `;
  if (work === undefined) throw unknownWork(taskId);
  const { latest, hasStep } = work;
  if (attempt !== undefined && (attempt > latest || attempt < Math.min(1, latest)))
    throw new CallerError(404, "not_found", `This work has had no attempt ${attempt}; its latest is ${latest}.`);
  if (step !== undefined && !hasStep)
    throw new CallerError(
      404,
      "not_found",
      `Attempt ${attempt ?? latest} of this work has no step ${step}; /logs lists them.`,
    );
}

/** A stored piece of output and how many bytes it stands for. */
export type Piece = { outputId: string; size: number };

/** Which pieces hold the bytes `start` to `end` (inclusive), and how many bytes come before the first of them. */
export function piecesWithin(pieces: Piece[], start: number, end: number): { ids: string[]; before: number } {
  let offset = 0;
  let before = 0;
  const ids: string[] = [];
  for (const { outputId, size } of pieces) {
    if (size > 0 && offset <= end && offset + size > start) {
      if (ids.length === 0) before = offset;
      ids.push(outputId);
    }
    offset += size;
  }
  return { ids, before };
}

/** The pieces of one attempt's output in order: of the attempt that ended the work, or the latest, and of all steps, unless told otherwise. */
export async function findPieces(
  db: Db,
  actor: Actor,
  taskId: string,
  attempt?: number,
  step?: number,
): Promise<(Piece & Numbered)[]> {
  return await db<(Piece & Numbered)[]>`
    select o.output_id, o.output_size_bytes as size, l.step_number as step, o.chunk_number as chunk
    from execution_output o join execution_logs l using (log_id)
    where l.task_id = ${taskId} and ${ofTeam(db, actor, "l")}
      and l.attempt = coalesce(${attempt ?? null}, (select coalesce(ended_by, attempt) from tasks where task_id = ${taskId}))
      ${step === undefined ? db`` : db`and l.step_number = ${step}`}
    order by l.step_number, o.chunk_number
  `;
}

/** How many bytes the agent of completed work says that its output has; undefined where it says nothing. */
async function findToldBytes(db: Db, actor: Actor, taskId: string): Promise<number | undefined> {
  const [row] = await db<{ told: number }[]>`
    select (actual_resources ->> 'output_bytes')::float8 as told from tasks
    where task_id = ${taskId} and ${ofTeam(db, actor)} and status = 'completed' and jsonb_typeof(actual_resources -> 'output_bytes') = 'number'
  `;
  return row?.told;
}

/** The bytes `start` to `end` (inclusive) of these pieces. Reads only the pieces that hold them. */
export async function readRange(db: Db, pieces: Piece[], start: number, end: number): Promise<Buffer> {
  const { ids, before } = piecesWithin(pieces, start, end);
  if (ids.length === 0) return Buffer.alloc(0);
  const rows = await db<{ encoding: BufferEncoding; outputFull: string }[]>`
    select o.encoding, o.output_full
    from unnest(${ids}::uuid[]) with ordinality as wanted (output_id, place) join execution_output o using (output_id)
    order by wanted.place
  `;
  const bytes = Buffer.concat(rows.map((row) => Buffer.from(row.outputFull, row.encoding)));
  return bytes.subarray(start - before, end - before + 1);
}

/** The bytes `start` to `end` (inclusive) of `size`; 206 where they are a part that was asked for. */
export type OutputRange = { status: 200 | 206; start: number; end: number; size: number };

/**
 * What part of the output to answer with: all of it, or the one part that a Range header names (RFC 9110). Throws 416 for a range
 * outside the output, 413 for more than one answer carries. A header that names several parts or no bytes, or is invalid, is ignored.
 */
export function rangeOf(pieces: Piece[], header: string | undefined, maxBytes: number): OutputRange {
  const size = pieces.reduce((sum, piece) => sum + piece.size, 0);
  const isRange = header !== undefined && header.startsWith("bytes=") && size > 0 && !runsBackwards(header);
  const ranges = isRange ? parseRange(size, withShortSuffix(header, size)) : -2;
  if (ranges === -1) {
    const message = `The output has ${size} bytes; the range ${header} is outside it.`;
    throw new CallerError(416, "range_not_satisfiable", message, { headers: { "content-range": `bytes */${size}` } });
  }
  const [only, ...more] = ranges === -2 ? [] : ranges;
  const part = only !== undefined && more.length === 0 ? only : undefined;
  const { start, end } = part ?? { start: 0, end: size - 1 };
  if (end - start + 1 > maxBytes) {
    const message = `This is ${end - start + 1} of ${size} bytes; one answer carries ${maxBytes}. Ask for parts: Range: bytes=0-${maxBytes - 1}, and so on.`;
    throw new CallerError(413, "output_too_large", message);
  }
  return { status: part === undefined ? 200 : 206, start, end, size };
}

/** The last 7 bytes of 6 are all of them; range-parser calls them unsatisfiable. */
function withShortSuffix(header: string, size: number): string {
  return header.replaceAll(
    /([=,]\s*-\s*)(\d+)/g,
    (_, before: string, length) => before + Math.min(Number(length), size),
  );
}

/** A last byte before the first makes the whole header invalid; range-parser calls it unsatisfiable. */
function runsBackwards(header: string): boolean {
  return Array.from(header.matchAll(/(\d+)\s*-\s*(\d+)/g)).some(([, first, last]) => Number(last) < Number(first));
}
