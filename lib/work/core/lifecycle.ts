/** The states of a piece of work and what leads from one to another. Pure: no database, no clock, no log. */

/** The states, from submitted to ended. `cancelling`: its agent was told to stop and has not confirmed it yet. */
export const STATUSES = [
  "pending",
  "approved",
  "executing",
  "cancelling",
  "completed",
  "failed",
  "rejected",
  "cancelled",
] as const;
export type Status = (typeof STATUSES)[number];

/** Nothing leads out of these but a person's retry. */
export const FINAL: readonly Status[] = ["completed", "failed", "rejected", "cancelled"];

/** What a person can decide about work. */
export const DECISIONS = ["approve", "reject", "cancel", "retry"] as const;
export type Decision = (typeof DECISIONS)[number];

/** The states from which each decision is possible. */
export const possibleFrom: Record<Decision, readonly Status[]> = {
  approve: ["pending"],
  reject: ["pending"],
  cancel: ["pending", "approved", "executing", "cancelling"],
  retry: ["failed", "cancelled"],
};

/** Where a decision leads. Work that was cancelled before anyone approved it is not approved by a retry. */
export function decided(decision: Decision, wasApproved: boolean): Exclude<Status, "cancelling"> {
  switch (decision) {
    case "approve":
      return "approved";
    case "reject":
      return "rejected";
    case "cancel":
      return "cancelled";
    case "retry":
      return wasApproved ? "approved" : "pending";
  }
}

/**
 * How an attempt ended: by its agent's word, by handing the work back or on to another agent, by a stop that its agent has confirmed, by
 * silence past its lease, or withdrawn before anybody had it.
 */
export type Ending =
  | "completed"
  | "failed"
  | "failed_retryable"
  | "handed_back"
  | "handed_over"
  | "cancelled"
  | "lease_expired"
  | "withdrawn";

/** Whether work of this type waits for a person, whatever its caller asked: by name, or by a prefix such as `infra.*`. */
export function needsApproval(workType: string, policy: readonly string[]): boolean {
  return policy.some((rule) => (rule.endsWith("*") ? workType.startsWith(rule.slice(0, -1)) : workType === rule));
}
