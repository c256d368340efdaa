import type { Pool } from "../../runtime/postgres/db.ts";
import { type KillSwitch, killSwitch } from "../config/kill-switch.ts";
import type { Budgets, Model } from "../config/schema.ts";
import type { CallFacts } from "./account.ts";
import { type Bounded, boundedBy } from "./bounded.ts";
import * as queries from "./queries.ts";
import { type OfTeam, rulesBook, type TaskRules } from "./rules.ts";
import { type FullBudget, reserveIn, scopesOf } from "./spend.ts";
import { type AttemptToKeep, gathered, writeCall } from "./write.ts";

/** The gateway's memory in Postgres. Nothing here throws, and nothing takes longer than its bound: an answer never waits for it. */
export type Ledger = {
  rules: (of: OfTeam) => Promise<TaskRules>;
  killSwitch: KillSwitch;
  /** Reserves `usd` in every budget that the call falls under; answers the one that has no room, if there is one. */
  reserve: (facts: CallFacts, usd: number, seconds: number) => Promise<FullBudget | undefined>;
  /** A prompt is leaving for this model. */
  sent: (facts: CallFacts, model: Model, attemptNumber: number) => void;
  /** Keeps what a call's attempts were. What cannot be kept is logged in full and counted. */
  write: (facts: CallFacts, attempts: AttemptToKeep[]) => Promise<void>;
};

type LedgerLog = {
  error: (event: string, fields?: Record<string, unknown>) => void;
  warn: (event: string, fields?: Record<string, unknown>) => void;
};

const READ_MS = 1_000;
const WRITE_MS = 2_000;

/** The ledger of a process that has kept nothing yet. `now` is epoch milliseconds; `renew` replaces the pool's connections. */
export function ledger(
  db: Pool,
  budgets: Budgets,
  log: LedgerLog,
  now: () => number,
  renew: (error: unknown) => void,
): Ledger {
  const bounded = boundedBy(db.options.max, now, renew);
  const stopper = killSwitch(
    async () => (await bounded(READ_MS, async () => await queries.findSwitch(db)))?.external ?? true,
  );
  const accounts = new Accounts(db, budgets, log, now, bounded);
  return {
    killSwitch: stopper,
    rules: rulesBook(
      async ({ teamId, taskId }) => await bounded(READ_MS, async () => await queries.findRules(db, teamId, taskId)),
      stopper,
      now,
      (error) => log.warn("llm rules not read", { error }),
    ),
    reserve: async (facts, usd, seconds) => await accounts.reserve(facts, usd, seconds),
    sent: (facts, model, attemptNumber) => accounts.sent(facts, model, attemptNumber),
    write: async (facts, attempts) => await accounts.write(facts, attempts),
  };
}

/** What a call reserves, notes and keeps. */
class Accounts {
  readonly #db: Pool;
  readonly #budgets: Budgets;
  readonly #log: LedgerLog;
  readonly #now: () => number;
  readonly #bounded: Bounded;
  readonly #insert: ReturnType<typeof gathered>;
  /** Calls that have a reservation to settle, and notes that are being written, by the call's id. */
  readonly #reserved = new Set<string>();
  readonly #notes = new Map<string, Promise<unknown>>();
  #lost = 0;

  constructor(db: Pool, budgets: Budgets, log: LedgerLog, now: () => number, bounded: Bounded) {
    this.#db = db;
    this.#budgets = budgets;
    this.#log = log;
    this.#now = now;
    this.#bounded = bounded;
    this.#insert = gathered(
      async (records) => await bounded(WRITE_MS, async () => await queries.insertAttempts(db, records)),
    );
  }

  async reserve(facts: CallFacts, usd: number, seconds: number): Promise<FullBudget | undefined> {
    const { callId } = facts;
    const scopes = scopesOf(this.#budgets, facts, this.#now());
    if (scopes.length === 0 || usd === 0) return undefined;
    try {
      const full = await this.#bounded(READ_MS, async () => await reserveIn(this.#db, facts, scopes, usd, seconds));
      if (full === undefined) this.#reserved.add(callId);
      return full;
    } catch (error) {
      this.#log.error("llm budget not checked", { error, call_id: callId });
      if (this.#budgets.without_database === "serve") return undefined;
      return { budget: "any (the database does not answer)", limitUsd: 0, usedUsd: 0 };
    }
  }

  sent({ teamId, taskId, callId }: CallFacts, model: Model, attemptNumber: number): void {
    if (taskId === null || model.provider.local) return;
    const use = { model: model.id, call_id: callId, attempt: attemptNumber };
    const note = this.#bounded(
      WRITE_MS,
      async () => await queries.noteExternalUse(this.#db, teamId, taskId, use),
    ).catch((error: unknown) => this.#log.error("llm use not noted", { task_id: taskId, ...use, error }));
    this.#notes.set(callId, Promise.all([this.#notes.get(callId), note]));
  }

  async write(facts: CallFacts, attempts: AttemptToKeep[]): Promise<void> {
    const { callId, taskId } = facts;
    await this.#notes.get(callId);
    this.#notes.delete(callId);
    const held = this.#reserved.delete(callId);
    if (attempts.length === 0 && !held) return;
    try {
      const noted = taskId !== null && attempts.some(({ record }) => record.external);
      if (held || noted || attempts.some(({ text }) => text !== undefined)) {
        await this.#bounded(WRITE_MS, async () => await writeCall(this.#db, facts, attempts));
      } else await this.#insert(attempts.map(({ record }) => record));
    } catch (error) {
      this.#lost += attempts.length;
      for (const { record } of attempts) this.#log.error("llm call not kept", { error, lost: this.#lost, ...record });
    }
  }
}
