import type { Availability, Unavailable } from "./decision.ts";
import type { State } from "./snapshot.ts";

/** Which of these agents cannot take work now, and why. Pure. */
export function availabilityOf(states: readonly State[]): Availability {
  return new Map(
    states.flatMap((state) => {
      const unavailable = unavailableOf(state);
      return unavailable === undefined ? [] : [[state.agent, unavailable] as const];
    }),
  );
}

function unavailableOf(state: State): Unavailable | undefined {
  if (!state.has_queue) return { kind: "absent", reason: "it has no queue yet" };
  if (state.silent_since !== null) return { kind: "absent", reason: `no sign of life since ${state.silent_since}` };
  if (state.executing >= state.at_once) {
    return { kind: "limit", reason: `it has ${state.executing} of ${state.at_once} pieces of work at once` };
  }
  const { rate_count: count, rate_seconds: seconds, recent } = state;
  if (count !== null && seconds !== null && recent >= count) {
    return { kind: "limit", reason: `it has started ${recent} of ${count} pieces of work in ${seconds} s` };
  }
  return undefined;
}
