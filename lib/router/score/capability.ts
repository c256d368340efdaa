import { texts } from "./context.ts";
import type { RouteRequest } from "./routable.ts";

/** What the work needs, in lower case and each once: hints.capabilities (a text or a list) and what a handover asks for. */
export function requiredCapabilities({ hints, capabilities = [] }: RouteRequest): string[] {
  return [...new Set([...texts(hints?.["capabilities"]), ...capabilities].map((one) => one.toLowerCase()))];
}

/** The share, 0 to 1, of what is required that is offered, both in lower case. Nothing required: 1 where the definition names the work type, else 0.5. */
export function capabilityScore(
  offered: ReadonlySet<string>,
  required: readonly string[],
  namesWorkType: boolean,
): number {
  if (required.length === 0) return namesWorkType ? 1 : 0.5;
  return required.filter((one) => offered.has(one)).length / required.length;
}
