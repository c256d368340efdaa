import type { Db } from "../../runtime/postgres/db.ts";
import { askMessages } from "../attempts/messages.ts";
import type { Attempt, Work } from "../attempts/work.ts";
import type { Seal } from "../core/messages.ts";
import { insertOutbox } from "../core/outbox.ts";
import { isShort } from "../core/short.ts";

/** When an agent is asked, in seconds after the end: once more, for the first question or its answer may be lost too. */
const ASK_AFTER_SECONDS = [10, 300];

/**
 * Asks the agents of attempts that have just ended for good to say again all that they told, where fewer steps or less output is here
 * than their results count: a queue has lost it, or it is late. The questions lie in the outbox, and those that come true meanwhile are
 * not sent. Call it in the transaction of the end, behind what it keeps.
 */
export async function askForMissing(
  db: Db,
  ended: readonly { work: Work; attempt: Attempt }[],
  seal: Seal,
): Promise<void> {
  // Of an attempt that is to be tried again the agent keeps no more than its end.
  const counting = ended.filter(({ attempt }) => attempt.how !== "failed_retryable" && counts(attempt));
  if (counting.length === 0) return;
  const short = await db<{ taskId: string; attempt: number }[]>`
    select task_id, attempt
    from unnest(
      ${counting.map(({ work }) => work.taskId)}::uuid[], ${counting.map(({ attempt }) => attempt.attempt)}::int[]
    ) as ended (task_id, attempt)
    where ${isShort(db, db`ended.task_id`, db`ended.attempt`)}
  `;
  const missing = counting.filter(({ work, attempt }) =>
    short.some((one) => one.taskId === work.taskId && one.attempt === attempt.attempt),
  );
  for (const after of ASK_AFTER_SECONDS) {
    // Without its attempt, for it counts though that is over.
    const questions = askMessages(missing, seal).map(({ attempt: _, ...question }) => question);
    await insertOutbox(db, questions, after);
  }
}

/** Whether its result counts what it told, as the kit's do. */
function counts({ metrics }: Attempt): boolean {
  const told = (metrics === null ? {} : JSON.parse(metrics)) as Record<string, unknown>;
  return typeof told["steps"] === "number" || typeof told["output_bytes"] === "number";
}
