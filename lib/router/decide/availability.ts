import type { Availability, Unavailable } from "../score/decision.ts";
import type { State } from "./agent-states.ts";

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
  switch (state.obstacle) {
    case "no_queue":
      return { kind: "absent", reason: "it has no queue yet" };
    case "unheard":
      return { kind: "absent", reason: "no process of it has been heard of yet" };
    case "silent":
      return { kind: "absent", reason: `no sign of life since ${state.silent_since}` };
    case "busy":
      return { kind: "limit", reason: `it has ${state.executing} of ${state.at_once} pieces of work at once` };
    case "rate": {
      const { recent, rate_count, rate_seconds } = state;
      return { kind: "limit", reason: `it has started ${recent} of ${rate_count} pieces of work in ${rate_seconds} s` };
    }
    case null:
      return undefined;
  }
}
