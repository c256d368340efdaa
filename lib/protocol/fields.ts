import * as z from "zod";
import { must } from "../input/faults.ts";

export { AgentName } from "../input/agent-name.ts";

/** Any UUID, read in either case and kept in lower case, as Postgres prints it. */
export const Uuid = z.guid(must("be a UUID, such as 0198c5f2-7c1e-7000-8000-0123456789ab")).toLowerCase();

/** What proves that an attempt was given to its agent: 64 hexadecimal digits. */
export const LeaseToken = z.string().regex(/^[0-9a-f]{64}$/, must("be 64 lower-case hexadecimal digits"));

const TIMESTAMP = must("be an ISO 8601 time with a zone, such as 2026-03-01T12:00:00Z, of the years 1000 to 2999");

/** The form of a Timestamp, without its calendar: 31 February has it too. */
export const TIMESTAMP_FORM = /^[12]\d{3}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:0\d|1[0-5]):[0-5]\d)$/;

/** ISO 8601 with a zone, within what both Postgres and JavaScript can say: years, digits of a second, zone. */
export const Timestamp = z.iso.datetime({ offset: true, ...TIMESTAMP }).regex(TIMESTAMP_FORM, TIMESTAMP);

/**
 * Free JSON. Its inside is not walked: what was read is JSON by construction, and what is written is looked through by
 * findUnstorable. Walking it here took 100 ms a MiB.
 */
export const JsonValue = z.unknown() as unknown as z.ZodType<z.core.util.JSONType>;

/** A free JSON object. */
export const JsonObject = z.record(z.string(), JsonValue);

/**
 * Text of at most `longest` characters. They are counted as JSON Schema and Postgres count them, by code point:
 * zod's own max counts an emoji twice. `base` may do something to the text first, such as trim it.
 */
export function text(longest: number, shortest: 0 | 1 = 0, base: z.ZodString = z.string()): z.ZodString {
  const bounded = base.refine((value) => fits(value, longest), must(`have at most ${longest} characters`));
  const full = shortest === 0 ? bounded : bounded.min(shortest);
  return full.meta({ maxLength: longest });
}

function fits(value: string, longest: number): boolean {
  return value.length <= longest || (value.length <= 2 * longest && Array.from(value).length <= longest);
}
