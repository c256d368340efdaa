import type { Db } from "../../runtime/postgres/db.ts";

/** Deletes the texts of a team's calls for a piece of work; what the calls cost stays known. */
export async function forgetTexts(db: Db, team: string, taskId: string): Promise<void> {
  await db`
    delete from llm_texts using llm_calls as call
    where call.attempt_id = llm_texts.attempt_id and call.team_id = ${team} and call.task_id = ${taskId}
  `;
}
