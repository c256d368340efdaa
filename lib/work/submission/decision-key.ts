import { createHash } from "node:crypto";
import type { Actor } from "../../access/actor.ts";
import { ofTeam } from "../../access/of-team.ts";
import { CallerError } from "../../errors.ts";
import { canonicalJson } from "../../input/json.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { findTask, type TaskRow } from "../core/task-row.ts";

/** The idempotency key of a decision, if it has one. */
export type DecisionKey = string | undefined;

/**
 * Takes an idempotency key for what is decided about work; call it first in the transaction of the decision, with which it is kept.
 * Answers the work as it is now where the same was decided under this key before: then nothing is to be done. Throws a CallerError, 409,
 * where it was something else.
 */
export async function takeKey(
  db: Db,
  actor: Actor,
  taskId: string,
  key: DecisionKey,
  content: { decision: string; said: unknown },
): Promise<TaskRow | undefined> {
  if (key === undefined) return undefined;
  const hash = createHash("sha256").update(canonicalJson(content)).digest();
  // Waits for whoever takes the same key at this moment.
  const taken = await db`
    insert into decision_keys (task_id, team_id, idempotency_key, content_hash)
    select task_id, team_id, ${key}, ${hash} from tasks where task_id = ${taskId} and ${ofTeam(db, actor)}
    on conflict on constraint decision_keys_pkey do nothing
    returning task_id
  `;
  if (taken.length > 0) return undefined;
  const [known] = await db<{ contentHash: Buffer }[]>`
    select content_hash from decision_keys where task_id = ${taskId} and idempotency_key = ${key} and ${ofTeam(db, actor)}
  `;
  if (known === undefined) return undefined;
  if (known.contentHash.equals(hash)) return await findTask(db, actor, taskId);
  const message =
    "This Idempotency-Key was used for another decision about this work. Use a new one for a new decision.";
  throw new CallerError(409, "idempotency_conflict", message);
}
