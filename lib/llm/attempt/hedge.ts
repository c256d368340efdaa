// Own, though cockatiel and p-timeout are near: what races here goes on to stream, and the one that lost has to be closed and paid.
import { within } from "../../time.ts";
import type { Candidate } from "../routing/rules.ts";
import type { GatewayDeps, LlmCall } from "./call.ts";
import type { Contender } from "./contender.ts";

/** Milliseconds for which the first model is waited for before a second one is started; undefined where the chain does not hedge. */
export function hedgeDelay(
  { health }: Pick<GatewayDeps, "health">,
  { hedge }: LlmCall["chain"],
  { model }: Candidate,
): number | undefined {
  return hedge === "p95" ? health.p95(model) : hedge?.after_ms;
}

/** The first that has failed or has something to give; undefined where none has within `ms` milliseconds, if those are given. */
export async function firstReady(open: readonly Contender[], ms: number | undefined): Promise<Contender | undefined> {
  const first = Promise.race(open.map(async (one) => await one.ready.then(() => one)));
  return ms === undefined ? await first : await within(ms, first, () => undefined);
}
