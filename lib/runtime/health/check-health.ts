import { Unavailable } from "../../errors.ts";
import { within } from "../../time.ts";
import type { Queues } from "../aws/queues.ts";
import { renewAll } from "../postgres/pool.ts";
import type { Health, HealthPart } from "./health.ts";

type Checks = {
  /** Answers the names of the migrations that the database has; rejects where it takes no writes. */
  applied: () => Promise<string[]>;
  expected: readonly string[];
  /** Queue URLs by name. */
  queues: Record<string, string>;
  counts: Queues["counts"];
  /** Answers what is to be told although it is no reason to fail. */
  warnings: () => Promise<string[]>;
};

const PATIENCE_MS = 2_000;

/** Asks every part at once, two seconds at most. Never throws. A database that is ahead of the code is fine. */
export async function checkHealth({ applied, expected, queues, counts, warnings }: Checks): Promise<Health> {
  const [[database, names = []], [, warned = []], ...asked] = await Promise.all([
    timed(applied),
    timed(warnings),
    ...Object.entries(queues).map(async ([name, url]) => {
      const [part, counted = {}] = await timed((signal) => counts(url, signal));
      return [name, { ...part, ...counted }] as const;
    }),
  ]);
  // The question may still wait on a connection that is dead without a word; the next one must not wait behind it.
  if (database.status !== "ok") renewAll(new Unavailable("The database did not answer the health check."));
  const pending = database.status === "ok" ? expected.filter((name) => !names.includes(name)) : [];
  const migrated = database.status === "ok" && pending.length === 0;
  const every = [database, ...asked.map(([, part]) => part)].every(({ status }) => status === "ok");
  return {
    status: every && migrated ? "ok" : "failing",
    database,
    queues: Object.fromEntries(asked),
    migrations: {
      status: migrated ? "ok" : "failing",
      applied: names.toSorted().at(-1) ?? null,
      expected: expected.at(-1) ?? null,
      pending,
    },
    warnings: warned,
  };
}

async function timed<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<[HealthPart, T?]> {
  const started = performance.now();
  const latency = () => Math.round(performance.now() - started);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  try {
    // A question that does not look at the signal ends all the same.
    const answer = await within(PATIENCE_MS, ask(signal), late);
    return [{ status: "ok", latency_ms: latency() }, answer];
  } catch (error) {
    const { code, name } = error as { code?: unknown; name?: string };
    return [{ status: "failing", latency_ms: latency(), error: typeof code === "string" ? code : (name ?? "Error") }];
  }
}

function late(): never {
  throw new DOMException("The part did not answer in time.", "TimeoutError");
}
