import type { Db } from "../../runtime/postgres/db.ts";
import { askMessages } from "../attempts/messages.ts";
import type { Attempt, Work } from "../attempts/work.ts";
import type { Stamp } from "../core/messages.ts";

/** When an agent is asked, in seconds after the end: once more, for the first question or its answer may be lost too. */
const ASK_AFTER_SECONDS = [10, 300];

/**
 * Asks the agents of attempts that have just ended to say again all that they told, where fewer steps or less output is here than they
 * have counted in `metrics`: what a queue has lost, for what is only late has until then. The questions lie in the outbox. Call it in the
 * transaction of the end, behind what it keeps.
 */
export async function askForMissing(
  db: Db,
  ended: readonly { work: Work; attempt: Attempt }[],
  stamp: Stamp,
): Promise<void> {
  const counting = ended.flatMap(({ work, attempt }) => {
    const { steps, output_bytes } = countsIn(attempt);
    return steps + output_bytes === 0 ? [] : [{ work, attempt, steps, bytes: output_bytes }];
  });
  if (counting.length === 0) return;
  const asks = counting.flatMap((one) => ASK_AFTER_SECONDS.map((after) => ({ ...one, after })));
  const messages = askMessages(asks, stamp);
  await db`
    insert into outbox (message_id, to_agent, body, task_id, send_after)
    select message_id, to_agent, body, task_id, now() + make_interval(secs => after)
    from unnest(
      ${messages.map(({ id }) => id)}::uuid[], ${messages.map(({ toAgent }) => toAgent)}::text[],
      ${messages.map(({ body }) => body)}::text[], ${messages.map(({ taskId }) => taskId)}::uuid[],
      ${asks.map(({ attempt }) => attempt.attempt)}::int[], ${asks.map(({ steps }) => steps)}::bigint[],
      ${asks.map(({ bytes }) => bytes)}::bigint[], ${asks.map(({ after }) => after)}::int[]
    ) as told (message_id, to_agent, body, task_id, attempt, steps, bytes, after)
    cross join lateral (
      select count(distinct log_id) as steps, coalesce(sum(output_size_bytes), 0) as bytes
      from execution_logs as log left join execution_output using (log_id)
      where log.task_id = told.task_id and log.attempt = told.attempt
    ) as here
    where here.steps < told.steps or here.bytes < told.bytes
  `;
}

/** What the kit counts beside what the agent measures itself. */
function countsIn({ metrics }: Attempt): { steps: number; output_bytes: number } {
  const told = (metrics === null ? {} : JSON.parse(metrics)) as Record<string, unknown>;
  return { steps: countOf(told["steps"]), output_bytes: countOf(told["output_bytes"]) };
}

/** 0 where it is no count. */
function countOf(value: unknown): number {
  return Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : 0;
}
