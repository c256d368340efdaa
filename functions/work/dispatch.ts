import { queue } from "../../lib/runtime/aws/queue.ts";
import { readEnv } from "../../lib/runtime/env.ts";
import { log } from "../../lib/runtime/log.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { agents, queues, sendThrough, stamp, wakeForNext } from "../../lib/wiring/queues.ts";
import { WorkSettings } from "../../lib/work/core/schema.ts";
import { dispatch } from "../../lib/work/dispatch/dispatch.ts";
import { toWire } from "../../lib/work/reading/task.ts";

const db = connect();
const settings = readEnv(WorkSettings);
const send = sendThrough(db);

/** Work queue: a batch of hints that work is ready. Whatever they name, the best ready work is sent to its agents. */
export const handler = queue(queues, async () => {
  const { started, freeAt } = await dispatch(db, settings, agents, send, stamp);
  for (const attempt of started) log.info("work dispatched", toWire(attempt));
  if (freeAt !== null) await wakeForNext(freeAt);
  return [];
});
