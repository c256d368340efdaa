import type { Actor } from "../../access/actor.ts";
import type { Db, Pool } from "../../runtime/postgres/db.ts";
import { type Expired, expire } from "../attempts/expire.ts";
import { askMessages, stopMessages } from "../attempts/messages.ts";
import { holdWork, keepWork } from "../attempts/store.ts";
import type { Attempt, Clock, Work } from "../attempts/work.ts";
import { type Claimed, type Seal, workRequest } from "../core/messages.ts";
import { claimLeftovers, deliver, insertOutbox, type Outgoing, type Send, supersede } from "../core/outbox.ts";
import type { Learn } from "../core/router-seam.ts";
import { isOfTheWork, type Spoilt } from "../core/spoilt.ts";
import { NIL_UUID } from "../core/uuids.ts";
import type { LeaseSettings } from "../settings.ts";
import { hashOfToken, requestColumns } from "./request-columns.ts";

/** Requests of one attempt whose tokens are kept: asked for once an hour at last, that is most of a day. */
const MOST_TOKENS = 20;

/** Rows that one statement of the sweep takes: it repeats until there are no more. */
const SWEEP_LIMIT = 100;

/**
 * Attempts that silence has ended, each with where its work is now, those that were asked for again because nobody had them, and work
 * that could not be dealt with, with the error.
 */
export type Silenced = { ended: Told[]; again: Told[]; spoilt: Spoilt[] };
type Told = {
  taskId: string;
  traceId: string;
  agent: string;
  attempt: number;
  requests: number;
  status: string;
  reason: string | null;
};

/**
 * Looks at the attempts whose lease ran out, as expire of lib/work/attempts says: what nobody has is asked for again, what ran and
 * fell silent is asked what has become of it, then tried again or failed. Answers what silence has come to.
 */
export async function expireLeases(
  pool: Pool,
  _actor: Actor,
  settings: LeaseSettings,
  learn: Learn,
  send: Send,
  seal: Seal,
): Promise<Silenced> {
  const all: Silenced = { ended: [], again: [], spoilt: [] };
  const some = async (ids: readonly string[]) => {
    const { silenced, outgoing } = await pool.begin(async (db) => await expireSome(db, ids, settings, learn, seal));
    await deliver(pool, outgoing, send);
    all.ended.push(...silenced.ended);
    all.again.push(...silenced.again);
  };
  for (let after = NIL_UUID; ; ) {
    const due = await findDue(pool, after);
    const last = due.at(-1);
    if (last === undefined) return all;
    after = last;
    all.spoilt.push(...(await apart(due, some)));
    if (due.length < SWEEP_LIMIT) return all;
  }
}

/** Does it for all at once or, where one of them spoils it, for each by itself. Answers those that it cannot be done for. */
async function apart(ids: readonly string[], run: (ids: readonly string[]) => Promise<void>): Promise<Spoilt[]> {
  try {
    await run(ids);
    return [];
  } catch (error) {
    if (!isOfTheWork(error)) throw error;
    const [taskId] = ids;
    if (taskId !== undefined && ids.length === 1) return [{ taskId, error }];
    const spoilt: Spoilt[] = [];
    for (const id of ids) spoilt.push(...(await apart([id], run)));
    return spoilt;
  }
}

/** Work with a lease that ran out, behind `after`: so what cannot be dealt with does not come first again. */
async function findDue(db: Db, after: string): Promise<string[]> {
  const rows = await db<{ taskId: string }[]>`
    select task_id from (
      (
        select task_id from task_attempts where how is null and lease_until <= now() and task_id > ${after}
        order by task_id limit ${SWEEP_LIMIT}
      )
      union
      -- dispatched by functions from before attempts were kept
      (
        select task_id from tasks where status = 'executing' and lease_until <= now() and task_id > ${after}
        order by task_id limit ${SWEEP_LIMIT}
      )
    ) as due
    order by task_id limit ${SWEEP_LIMIT}
  `;
  return rows.map(({ taskId }) => taskId);
}

async function expireSome(
  db: Db,
  taskIds: readonly string[],
  settings: LeaseSettings,
  learn: Learn,
  seal: Seal,
): Promise<{ silenced: Omit<Silenced, "spoilt">; outgoing: Outgoing[] }> {
  const { works, now } = await holdWork(db, taskIds, { skipLocked: true });
  const clock: Clock = { now, dice: seal.dice, ...settings };
  const before = new Map(works.map((work) => [work, work.status]));
  const outcomes = works.map((work) => ({ work, ...expire(work, clock) }));
  await keepWork(db, works);
  const outgoing = [
    ...stopMessages(
      each(outcomes, "stop").map(({ work, one }) => ({ work, stop: one })),
      seal,
    ),
    ...askMessages(
      each(outcomes, "ask").map(({ work, one }) => ({ work, attempt: one })),
      seal,
    ),
    ...(await requestsAgain(db, each(outcomes, "again"), settings.leaseSeconds, seal)),
  ];
  // A request that never left its outbox is not sent twice.
  await supersede(
    db,
    each(outcomes, "again").map(({ work: { taskId }, one: { attempt } }) => ({ taskId, attempt })),
  );
  await insertOutbox(db, outgoing);
  const failed = works.filter((work) => work.status === "failed" && before.get(work) !== "failed");
  await learn(
    db,
    failed.map(({ taskId }) => taskId),
  );
  const silenced = { ended: each(outcomes, "ended").map(toldOf), again: each(outcomes, "again").map(toldOf) };
  return { silenced, outgoing };
}

type Of = { work: Work; one: Attempt };

function each(outcomes: readonly (Expired & { work: Work })[], what: keyof Expired): Of[] {
  return outcomes.flatMap(({ work, ...expired }) => expired[what].map((one) => ({ work, one })));
}

function toldOf({ work: { taskId, traceId, status }, one: { agent, attempt, requests, reason } }: Of): Told {
  return { taskId, traceId, agent, attempt, requests, status, reason };
}

/** The requests of attempts that nobody has, anew: a queue may have lost them. */
async function requestsAgain(db: Db, again: readonly Of[], leaseSeconds: number, seal: Seal): Promise<Outgoing[]> {
  if (again.length === 0) return [];
  const ids = again.map(({ work }) => work.taskId);
  const rows = await db<Claimed[]>`
    with asked as (
      select * from unnest(${ids}::uuid[], ${again.map(({ one }) => one.attempt)}::int[]) as asked (task_id, attempt)
    ), request as materialized (
      select ${requestColumns(db)} from tasks where task_id = any(${ids}::uuid[])
    ), kept as (
      -- A process may still have an earlier request: its token stays good.
      update task_attempts as known
      set lease_tokens = (${hashOfToken(db, db`request.lease_token`)} || known.lease_tokens)[:${MOST_TOKENS}]
      from request join asked using (task_id)
      where known.task_id = asked.task_id and known.attempt = asked.attempt and known.lease_tokens is not null
    )
    select * from request
  `;
  return again.flatMap(({ work, one }) => {
    const row = rows.find(({ taskId }) => taskId === work.taskId);
    if (row === undefined) return [];
    const { attempt, agent: toAgent } = one;
    return [
      {
        ...workRequest({ ...row, attempt }, leaseSeconds, seal),
        teamId: work.teamId,
        toAgent,
        taskId: work.taskId,
        attempt,
      },
    ];
  });
}

/**
 * Sends what a crash left in the outbox, for at most `budgetMs` milliseconds: what queues refuse is tried last, so it takes no time from
 * anything else. Answers how many messages the queues have taken.
 */
export async function sendLeftovers(db: Db, _actor: Actor, send: Send, budgetMs: number): Promise<number> {
  const until = performance.now() + budgetMs;
  let sent = 0;
  for (;;) {
    const leftovers = await claimLeftovers(db, SWEEP_LIMIT);
    sent += await deliver(db, leftovers, send);
    if (leftovers.length < SWEEP_LIMIT || performance.now() > until) return sent;
  }
}
