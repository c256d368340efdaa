import { texts } from "./context.ts";
import type { RouteRequest } from "./routable.ts";

/** What the work needs: hints.capabilities (a text or a list) and what a hand-over asks for. */
export function requiredCapabilities({ hints, capabilities = [] }: RouteRequest): string[] {
  return [...new Set([...texts(hints?.["capabilities"]), ...capabilities].map((one) => one.toLowerCase()))];
}

/** The share of what is required that is offered. Nothing required: 1 where the definition names the work type, else 0.5. */
export function capabilityScore(
  offered: ReadonlySet<string>,
  required: readonly string[],
  namesWorkType: boolean,
): number {
  if (required.length === 0) return namesWorkType ? 1 : 0.5;
  return required.filter((one) => offered.has(one)).length / required.length;
}
