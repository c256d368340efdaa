import { system } from "../../lib/access/actor.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { getOutput } from "../../lib/work/core/routes.ts";
import { readOutput } from "../../lib/work/reading/output.ts";
import { workSettings } from "../../lib/work/settings.ts";

const db = connect();
const actor = system("http");
const { maxBytes } = readSettings({ maxBytes: workSettings.outputResponseBytes });

/** GET /work/{task_id}/output: the full output in step order, byte for byte, or the part that Range names. */
export const handler = http(getOutput, async ({ params, query, headers, tell }) => {
  tell({ task_id: params.task_id });
  const asked = { taskId: params.task_id, ...query, range: headers.range, maxBytes };
  const { status, start, end, size, bytes } = await readOutput(db, actor, asked);
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
