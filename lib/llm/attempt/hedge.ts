import type { Candidate } from "../routing/rules.ts";
import type { Call, RouteDeps } from "./call.ts";
import type { Contender } from "./contender.ts";

// Hedging: a second model is started when the first is slow, and whichever has something to give first goes on.

/** How long the first model is waited for before a second one is started too; undefined where the chain does not hedge. */
export function hedgeDelay(
  { health }: Pick<RouteDeps, "health">,
  { hedge }: Call["chain"],
  { model }: Candidate,
): number | undefined {
  return hedge === "p95" ? health.p95(model) : hedge?.after_ms;
}

/** Starts a second one when the first is not ready in time. Answers which goes on, and the other one where there is one. */
export async function race(
  first: Contender,
  delayMs: number,
  startSecond: () => Promise<Contender>,
): Promise<{ winner: Contender; loser?: Contender }> {
  if (await readyWithin(first, delayMs)) return { winner: first };
  return await firstGood(first, await startSecond());
}

async function readyWithin({ ready }: Contender, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const outcome = await Promise.race([ready.then(() => true), late]);
  clearTimeout(timer);
  return outcome;
}

/** The one that has something to give first; where one fails, the other is waited for. */
async function firstGood(one: Contender, other: Contender): Promise<{ winner: Contender; loser: Contender }> {
  const early = await Promise.race([one.ready.then(() => one), other.ready.then(() => other)]);
  const late = early === one ? other : one;
  if (early.state() !== "failed") return { winner: early, loser: late };
  await late.ready;
  return { winner: late, loser: early };
}
