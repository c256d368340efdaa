import * as z from "zod";
import { integer, readEnv } from "../../lib/runtime/env.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { findStatus } from "../../lib/work/core/queries.ts";
import { getOutput } from "../../lib/work/core/routes.ts";
import { findPieces, rangeOf, readRange } from "../../lib/work/reading/output.ts";
import { unknownWork } from "../../lib/work/submission/decide.ts";

const db = connect();
const { OUTPUT_RESPONSE_BYTES } = readEnv(z.object({ OUTPUT_RESPONSE_BYTES: integer(1_024, 1e9, 4_194_304) }));

/** GET /work/{task_id}/output: the full output in step order, byte for byte, or the part that Range names. */
export const handler = http(getOutput, async ({ params, query, headers, tell }) => {
  tell({ task_id: params.task_id });
  const pieces = await findPieces(db, params.task_id, query.attempt, query.step);
  if (pieces.length === 0 && (await findStatus(db, params.task_id)) === undefined) throw unknownWork(params.task_id);
  const { status, start, end, size } = rangeOf(pieces, headers.range, OUTPUT_RESPONSE_BYTES);
  const bytes = await readRange(db, pieces, start, end);
  return {
    status,
    bytes,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "accept-ranges": "bytes",
      ...(status === 206 ? { "content-range": `bytes ${start}-${end}/${size}` } : {}),
    },
  };
});
