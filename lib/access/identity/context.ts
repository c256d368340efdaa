import * as z from "zod";
import { type Caller, ROLES, SCOPES } from "../actor.ts";
import type { Outcome } from "../outcome.ts";
import { REASONS } from "../refusal.ts";

// What the authorizer tells the functions of a caller: API Gateway carries it as texts. What is null is left out.

const KINDS = ["user", "service", "agent", "iam"] as const satisfies Caller["kind"][];

const ALL = "*";

const Told = z.object({
  kind: z.enum(KINDS),
  id: z.string().min(1),
  name: z.string().min(1),
  team: z.guid(),
  role: z.enum(ROLES).optional(),
  /** With spaces between them, or ALL; without it none. */
  scopes: z
    .string()
    .default("")
    .transform((text) => (text === ALL ? null : text.split(" ").filter(Boolean)))
    .pipe(z.array(z.enum(SCOPES)).nullable()),
  keyId: z.string().optional(),
  agent: z.string().optional(),
  isEarlier: z.literal("true").optional(),
  requestsPerSecond: z.coerce.number().positive().optional(),
  bytesPerDay: z.coerce.number().positive().optional(),
  /** Seconds since 1970. */
  until: z.coerce.number().int().optional(),
});
/** What has no role is an agent, which says which. */
const Whole = Told.refine(({ kind, role, agent }) =>
  kind === "agent" ? agent !== undefined && role === undefined : agent === undefined && role !== undefined,
);
const Context = z.union([z.object({ refused: z.enum(REASONS) }), Whole]);

/** An outcome as the context of an authorizer's answer. */
export function toContext(outcome: Outcome): Record<string, string> {
  if ("refused" in outcome) return { refused: outcome.refused };
  const { scopes, limits, isEarlier, ...caller } = outcome.caller;
  const { until } = outcome;
  const told = {
    ...caller,
    scopes: scopes?.join(" ") ?? ALL,
    isEarlier: isEarlier && "true",
    requestsPerSecond: limits?.requestsPerSecond?.toString(),
    bytesPerDay: limits?.bytesPerDay?.toString(),
    until: until === null ? undefined : String(Math.floor(until.getTime() / 1000)),
  };
  const texts = Object.entries(told).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return Object.fromEntries(texts);
}

/**
 * The outcome that a context tells, as of `now`: a cached one may have ended meanwhile. Throws where it is none of ours, which is a fault
 * of the deployment.
 */
export function fromContext(context: unknown, now: Date): Outcome {
  const told = Context.parse(context);
  if ("refused" in told) return told;
  const { until, role = null, keyId = null, agent = null, isEarlier, ...more } = told;
  const { requestsPerSecond = null, bytesPerDay = null, ...rest } = more;
  const earlier = isEarlier === undefined ? {} : ({ isEarlier: true } as const);
  const isLimited = requestsPerSecond !== null || bytesPerDay !== null;
  const limits = isLimited ? { limits: { requestsPerSecond, bytesPerDay } } : {};
  const ended = until === undefined ? null : new Date(until * 1000);
  if (ended !== null && ended <= now) return { refused: keyId === null ? "token_expired" : "key_expired" };
  return { caller: { ...rest, role, keyId, agent, ...limits, ...earlier }, until: ended };
}
