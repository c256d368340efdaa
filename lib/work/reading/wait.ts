import { setTimeout as sleep } from "node:timers/promises";
import type { Actor } from "../../access/actor.ts";
import type { Transactions } from "../../runtime/postgres/team.ts";
import { FINAL } from "../core/lifecycle.ts";
import { findStatus } from "../core/task-row.ts";

/** Between two looks: short at first, so that quick work answers quickly, then twice a second. */
const FIRST_LOOK_MS = 50;
const LAST_LOOK_MS = 500;

/** Waits until work is final, gone, or `waitMs` milliseconds are over; which of them is not told. Holds no connection between looks. */
export async function waitForFinal(pool: Transactions, actor: Actor, taskId: string, waitMs: number): Promise<void> {
  const until = performance.now() + waitMs;
  for (let pause = FIRST_LOOK_MS; ; pause = Math.min(LAST_LOOK_MS, pause * 1.5)) {
    const status = await pool.begin(async (db) => await findStatus(db, actor, taskId));
    const left = until - performance.now();
    if (status === undefined || FINAL.includes(status) || left <= 0) return;
    await sleep(Math.min(pause, left));
  }
}
