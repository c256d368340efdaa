import { system } from "../../lib/access/actor.ts";
import type { Message } from "../../lib/protocol/messages.ts";
import { queue } from "../../lib/runtime/aws/queue.ts";
import { log } from "../../lib/runtime/log.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { router } from "../../lib/wiring/control-plane.ts";
import { queues, sendThrough, stamp, wakeForNext } from "../../lib/wiring/queues.ts";
import { deliver } from "../../lib/work/core/outbox.ts";
import { recordBatch } from "../../lib/work/results/record.ts";
import { workSettings } from "../../lib/work/settings.ts";

const db = connect();
const settings = readSettings(workSettings);
const send = sendThrough(db);

/** Results queue: records what agents say, a batch in one transaction; a message that the database refuses fails alone. */
export const handler = queue(queues, async (received) => {
  const { ended, stale, outgoing, refused, workWaits } = await recordBatch(
    db,
    system("record-result"),
    settings,
    router,
    stamp,
    received,
  );
  await deliver(db, outgoing, send);
  for (const { message, error } of refused) log.error("message not recorded", { ...about(message), error });
  for (const message of stale) log.warn("late message changed nothing", about(message));
  for (const { taskId, traceId, attempt, status } of ended) {
    log.info("attempt ended", { task_id: taskId, trace_id: traceId, attempt, status });
  }
  if (workWaits) await wakeForNext();
  return refused.map(({ recordId }) => recordId);
});

function about({ message_id, trace_id, from_agent, type, payload }: Message) {
  return { message_id, trace_id, from_agent, type, task_id: payload.task_id };
}
