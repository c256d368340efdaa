import pLimit from "p-limit";
import type { Pool } from "../../runtime/postgres/db.ts";
import { type KillSwitch, killSwitch } from "../config/kill-switch.ts";
import { decimal } from "../config/prices.ts";
import type { Budgets, Model } from "../config/schema.ts";
import type { AttemptRecord, CallFacts } from "./account.ts";
import { inLoopTime } from "./loop-time.ts";
import * as queries from "./queries.ts";

/** What must be known before a call. `known` is false where the database did not tell. */
export type Rules = { external: boolean; localOnly: boolean; known: boolean; projectId: string | null };
export type Refusal = { budget: string; limitUsd: number; usedUsd: number };
export type Kept = { record: AttemptRecord; text?: { prompt: string; answer: string | null } };

/** The gateway's memory in Postgres. Nothing here throws, and nothing takes longer than its bound: an answer never waits for it. */
export type Ledger = {
  rules: (taskId: string | null) => Promise<Rules>;
  killSwitch: KillSwitch;
  /** Reserves `usd` in every budget that the call falls under; answers the one that has no room, if there is one. */
  reserve: (facts: CallFacts, usd: number, seconds: number) => Promise<Refusal | undefined>;
  sent: (facts: CallFacts, model: Model, attemptNumber: number) => void;
  /** Keeps what a call's attempts were. What cannot be kept is logged in full and counted. */
  write: (facts: CallFacts, kept: Kept[]) => Promise<void>;
};

type LedgerLog = {
  error: (event: string, fields?: Record<string, unknown>) => void;
  warn: (event: string, fields?: Record<string, unknown>) => void;
};

const RULES_FRESH_MS = 1_000;
const READ_MS = 1_000;
const WRITE_MS = 2_000;
/** After a failure the database is left alone for so long, so that answers do not wait for it one by one. */
const AWAY_MS = 3_000;

/** `renew` replaces the pool's connections: one that fell silent would keep every later call waiting. */
export function ledger(
  db: Pool,
  budgets: Budgets,
  log: LedgerLog,
  now: () => number,
  renew: (error: unknown) => void,
): Ledger {
  let awayUntil = 0;
  let lost = 0;
  const notes = new Map<string, Promise<unknown>>();
  const kept = new Map<string, { rules: Rules; at: number }>();
  const reserved = new Set<string>();

  // A bound counts from when there is a connection to run on: many calls at once are no sign of a database that is away.
  const turn = pLimit(db.options.max);
  const bounded = async <T>(ms: number, run: () => Promise<T>): Promise<T> =>
    await turn(async () => {
      if (awayUntil > now()) throw new Error("the database was away a moment ago");
      try {
        return await inLoopTime(ms, run());
      } catch (error) {
        awayUntil = now() + AWAY_MS;
        renew(error);
        throw error;
      }
    });

  const stopper = killSwitch(
    async () => (await bounded(READ_MS, async () => await queries.findSwitch(db)))?.external ?? true,
  );

  let waiting: { records: AttemptRecord[]; done: Promise<void> } | undefined;
  let writing: Promise<void> = Promise.resolve();
  /** Calls that end while a write is under way share the next one: under load an insert keeps many. */
  const together = async (records: AttemptRecord[]): Promise<void> => {
    if (waiting !== undefined && waiting.records.length < 500) {
      waiting.records.push(...records);
      return await waiting.done;
    }
    const mine = { records: [...records], done: Promise.resolve() };
    waiting = mine;
    const before = writing;
    mine.done = (async () => {
      await before;
      if (waiting === mine) waiting = undefined;
      await bounded(WRITE_MS, async () => await queries.insertAttempts(db, mine.records));
    })();
    writing = mine.done.catch(() => {});
    return await mine.done;
  };

  return {
    killSwitch: stopper,

    rules: async (taskId) => {
      const cached = kept.get(taskId ?? "");
      const fresh = cached !== undefined && now() - cached.at < RULES_FRESH_MS;
      if (fresh) return { ...cached.rules, external: stopper.external() };
      try {
        const row = await bounded(READ_MS, async () => await queries.findRules(db, taskId));
        stopper.told(row?.external ?? true);
        const rules = {
          external: stopper.external(),
          localOnly: row?.privacy === "local-only",
          known: true,
          projectId: row?.projectId ?? null,
        };
        if (kept.size > 10_000) kept.clear();
        kept.set(taskId ?? "", { rules, at: now() });
        return rules;
      } catch (error) {
        log.warn("llm rules not read", { error });
        // What a task said once it says still: its marks do not change. The switch stays as it was last seen.
        return cached === undefined
          ? { external: stopper.external(), localOnly: false, known: taskId === null, projectId: null }
          : { ...cached.rules, external: stopper.external() };
      }
    },

    reserve: async (facts, usd, seconds) => {
      const scopes = scopesOf(budgets, facts, now());
      if (scopes.length === 0 || usd === 0) return undefined;
      try {
        const refusal = await bounded(READ_MS, async () => await reserveIn(db, facts.callId, scopes, usd, seconds));
        if (refusal === undefined) reserved.add(facts.callId);
        return refusal;
      } catch (error) {
        log.error("llm budget not checked", { error, call_id: facts.callId });
        if (budgets.without_database === "serve") return undefined;
        return { budget: "any (the database does not answer)", limitUsd: 0, usedUsd: 0 };
      }
    },

    sent: ({ taskId, callId }, model, attemptNumber) => {
      if (taskId === null || model.provider.local) return;
      const use = { model: model.id, call_id: callId, attempt: attemptNumber };
      const note = bounded(WRITE_MS, async () => await queries.noteExternalUse(db, taskId, use)).catch(
        (error: unknown) => log.error("llm use not noted", { task_id: taskId, ...use, error }),
      );
      notes.set(callId, Promise.all([notes.get(callId), note]));
    },

    write: async (facts, all) => {
      await notes.get(facts.callId);
      notes.delete(facts.callId);
      if (all.length === 0 && !reserved.has(facts.callId)) return;
      try {
        const held = reserved.delete(facts.callId);
        const noted = facts.taskId !== null && all.some(({ record }) => record.external);
        if (held || noted || all.some(({ text }) => text !== undefined)) {
          await bounded(WRITE_MS, async () => await writeIn(db, facts, all));
        } else await together(all.map(({ record }) => record));
      } catch (error) {
        lost += all.length;
        for (const { record } of all) log.error("llm call not kept", { error, lost, ...record });
      }
    },
  };
}

async function reserveIn(db: Pool, callId: string, scopes: queries.Scope[], usd: number, seconds: number) {
  return await db.begin(async (tx): Promise<Refusal | undefined> => {
    const used = await queries.lockSpend(tx, scopes);
    for (const { scope, scopeKey, limitUsd } of scopes) {
      const usedUsd = used.find((one) => one.scope === scope && one.scopeKey === scopeKey)?.usd ?? 0;
      if (usedUsd + usd > limitUsd) return { budget: `${scope} ${scopeKey}`, limitUsd, usedUsd };
    }
    await queries.insertReservations(tx, callId, scopes, decimal(usd), seconds);
    return undefined;
  });
}

async function writeIn(db: Pool, facts: CallFacts, all: Kept[]): Promise<void> {
  await db.begin(async (tx) => {
    const fresh = new Set(
      (
        await queries.insertAttempts(
          tx,
          all.map(({ record }) => record),
        )
      ).map(({ attemptId }) => attemptId),
    );
    const texts = all.flatMap(({ record: { attemptId }, text }) =>
      text === undefined || !fresh.has(attemptId) ? [] : [{ attempt_id: attemptId, ...text }],
    );
    if (texts.length > 0) await queries.insertTexts(tx, texts);
    await queries.settleCall(tx, facts.callId, [...fresh]);
    for (const { record } of all) {
      if (record.external && record.left && record.taskId !== null && fresh.has(record.attemptId))
        await queries.settleExternalUse(tx, record);
    }
  });
}

function scopesOf(budgets: Budgets, { taskId, agent }: CallFacts, now: number): queries.Scope[] {
  const day = new Date(now).toISOString().slice(0, 10);
  const scopes: queries.Scope[] = [];
  const { task_usd, agent_usd_per_day, agents, day_usd } = budgets;
  const agentLimit = agent === null ? undefined : (agents[agent] ?? agent_usd_per_day);
  if (agent !== null && agentLimit !== undefined)
    scopes.push({ scope: "agent", scopeKey: `${agent} ${day}`, limitUsd: agentLimit });
  if (day_usd !== undefined) scopes.push({ scope: "day", scopeKey: day, limitUsd: day_usd });
  if (taskId !== null && task_usd !== undefined) scopes.push({ scope: "task", scopeKey: taskId, limitUsd: task_usd });
  return scopes;
}
