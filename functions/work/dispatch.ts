import { system } from "../../lib/access/actor.ts";
import { queue } from "../../lib/runtime/aws/queue.ts";
import { log } from "../../lib/runtime/log.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { agents, queues, sendThrough, stamp, wakeForNext } from "../../lib/wiring/queues.ts";
import { dispatch } from "../../lib/work/dispatch/dispatch.ts";
import { toWire } from "../../lib/work/reading/task.ts";
import { workSettings } from "../../lib/work/settings.ts";

const db = connect();
const settings = readSettings(workSettings);
const send = sendThrough(db);

/** Work queue: a batch of hints that work is ready. Whatever they name, the best ready work is sent to its agents. */
export const handler = queue(queues, async () => {
  const { started, freeAt } = await dispatch(db, system("dispatch"), settings, agents, send, stamp);
  for (const attempt of started) log.info("work dispatched", toWire(attempt));
  if (freeAt !== null) await wakeForNext(freeAt);
  return [];
});
