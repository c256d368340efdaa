import * as z from "zod";
import { must } from "../input/faults.ts";
import { whole } from "../input/whole.ts";
import { setting, type Values } from "../runtime/settings.ts";

const RULES = "be work types such as code.run, groups such as infra.*, or * for all, with commas between them";

/** What decides how work is handled. */
export const workSettings = {
  approvalRequired: setting({
    env: "APPROVAL_REQUIRED",
    takes: z
      .string()
      .refine((text) => toRules(text).every(isRule), must(RULES))
      .transform(toRules),
    default: "",
    says: "Work types that always wait for a person, comma separated; infra.* is a group.",
  }),
  leaseSeconds: setting({
    env: "LEASE_SECONDS",
    takes: whole(1, 3600),
    default: "60",
    unit: "seconds",
    says: "How long an agent may be silent while it works, before its attempt is over.",
  }),
  pickupSeconds: setting({
    env: "PICKUP_SECONDS",
    takes: whole(1, 86_400),
    default: "900",
    unit: "seconds",
    says: "How long a request may wait before it is sent again; then twice as long each time, at most an hour. It costs no attempt. In containers 120, for their SQS forgets.",
  }),
  agentInFlight: setting({
    env: "AGENT_IN_FLIGHT",
    takes: whole(1, 10_000),
    default: "10",
    unit: "pieces of work",
    says: "Pieces of work that one agent has at once; the rest waits in the database, where priority counts.",
  }),
  outputResponseBytes: setting({
    env: "OUTPUT_RESPONSE_BYTES",
    // In base64 an answer of Lambda, which has 6 MB, carries no more.
    takes: whole(1_024, 4_500_000),
    default: "4194304",
    unit: "bytes",
    says: "Output that one answer of GET /work/{task_id}/output carries; more is asked for by Range.",
  }),
};
/** As readSettings reads them. */
export type WorkSettings = Values<typeof workSettings>;

/** How long a process may be silent, and a request wait. */
export type LeaseSettings = Pick<WorkSettings, "leaseSeconds" | "pickupSeconds">;

function toRules(text: string): string[] {
  return text
    .split(",")
    .map((rule) => rule.trim())
    .filter(Boolean);
}

/** Whether there can be work that this rule is for: a work type, or the beginning of one before a *. */
function isRule(rule: string): boolean {
  return rule.length <= 100 && /^(\*|[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*(\.?\*)?)$/.test(rule);
}
