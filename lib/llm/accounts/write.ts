import type { Pool } from "../../runtime/postgres/db.ts";
import type { AttemptRecord, CallFacts } from "./account.ts";
import * as queries from "./queries.ts";

/** An attempt with what was said in it, where that is kept. */
export type AttemptToKeep = { record: AttemptRecord; text?: { prompt: string; answer: string | null } };

/** One insert holds so many rows at most. */
const MOST_ROWS = 500;

/**
 * Writes together what belongs to no transaction: calls that end while a write is under way share the next one, so that under
 * load one insert keeps many. Each is told when its own rows are kept, or that they are not.
 */
export function gathered(
  insert: (records: AttemptRecord[]) => Promise<unknown>,
): (records: AttemptRecord[]) => Promise<void> {
  type Batch = { records: AttemptRecord[]; done: Promise<void> };
  let waiting: Batch | undefined;
  let writing: Promise<void> = Promise.resolve();
  const writeAfter = async (before: Promise<void>, batch: Batch): Promise<void> => {
    await before;
    if (waiting === batch) waiting = undefined;
    await insert(batch.records);
  };
  return async (records) => {
    if (waiting !== undefined && waiting.records.length < MOST_ROWS) {
      waiting.records.push(...records);
      return await waiting.done;
    }
    const batch: Batch = { records: [...records], done: Promise.resolve() };
    waiting = batch;
    batch.done = writeAfter(writing, batch);
    writing = batch.done.catch(() => {});
    return await batch.done;
  };
}

/** Keeps the attempts of a call and what was said in them, and settles its reservation and the notes on its task, in one go. */
export async function writeCall(db: Pool, facts: CallFacts, all: AttemptToKeep[]): Promise<void> {
  await db.begin(async (tx) => {
    const records = all.map(({ record }) => record);
    const inserted = await queries.insertAttempts(tx, records);
    // What was there already has been settled already.
    const fresh = new Set(inserted.map(({ attemptId }) => attemptId));
    const texts = all.flatMap(({ record: { attemptId }, text }) =>
      text === undefined || !fresh.has(attemptId) ? [] : [{ attempt_id: attemptId, team_id: facts.teamId, ...text }],
    );
    if (texts.length > 0) await queries.insertTexts(tx, texts);
    await queries.settleCall(tx, facts, [...fresh]);
    for (const record of records) {
      if (record.external && record.left && record.taskId !== null && fresh.has(record.attemptId))
        await queries.settleExternalUse(tx, record);
    }
  });
}
