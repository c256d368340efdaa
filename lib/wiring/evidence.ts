import { audit } from "../access/record.ts";
import { NOT_AUTHENTIC } from "../protocol/error-codes.ts";
import type { Stale } from "../work/results/changes.ts";
import { Unproven } from "../work/results/proof.ts";
import type { Refused } from "../work/results/record.ts";
import type { ControlPlane, Part } from "./control-plane.ts";
import { lately } from "./lately.ts";
import { tellMetrics } from "./metrics.ts";

/** Of one agent's name and one piece of work, one refusal a second is recorded. Both are what the message says: who makes them up fills the record. */
const wasRecorded: Part<(about: string) => boolean> = () => lately();

/**
 * Counts messages that are not believed, for the alarm, and records who they say that they are from; those too of which an agent tells
 * that it did not believe them. The messages themselves are evidence on the dead letter queue. Where it cannot be recorded the log says so.
 */
export async function keepEvidence(
  plane: ControlPlane,
  refused: readonly Refused[],
  stale: readonly Stale[],
): Promise<void> {
  const forged = [...refused.filter(({ error }) => error instanceof Unproven), ...stale.flatMap(reported)];
  if (forged.length === 0) return;
  const { db, log } = plane;
  tellMetrics(plane, "messages not believed", { RefusedMessages: { value: forged.length, unit: "Count" } });
  for (const { message, error } of forged) {
    const { team, keyId, message: reason } = error as Unproven;
    const { from_agent, message_id, trace_id: traceId, type, payload } = message;
    const whose = `${team ?? ""} ${from_agent} ${payload.task_id ?? ""}`;
    if (plane.part(wasRecorded)(whose)) continue;
    const who = {
      kind: "unknown" as const,
      name: `agent:${from_agent}`,
      team: team ?? null,
      origin: { ip: null, traceId },
    };
    await audit(db, who, {
      action: "message.refused",
      object: ["work", payload.task_id ?? "none"],
      reason,
      details: { message_id, type, signed_with: keyId ?? null },
    }).catch((failed: unknown) => log.warn("refused message not recorded", { message_id, error: failed }));
  }
}

/** What an agent says of a message that somebody has put on its queue. */
function reported({ message }: Stale): Pick<Refused, "message" | "error">[] {
  if (message.type !== "error" || message.payload.error_code !== NOT_AUTHENTIC) return [];
  const { error_message, failed_message_id = "of no id" } = message.payload;
  const reason = `the agent did not believe message ${failed_message_id}: ${error_message}`;
  return [{ message, error: new Unproven(reason, { keyId: message.key_id }) }];
}
