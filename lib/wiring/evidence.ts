import { LRUCache } from "lru-cache";
import { audit } from "../access/record.ts";
import { NOT_AUTHENTIC } from "../protocol/error-codes.ts";
import { embeddedMetrics } from "../runtime/metrics.ts";
import type { Stale } from "../work/results/changes.ts";
import { Unproven } from "../work/results/proof.ts";
import type { Refused } from "../work/results/record.ts";
import type { ControlPlane, Part } from "./control-plane.ts";

/** Of one agent's name and one piece of work, one refusal is recorded in this time: a flood does not fill the record. */
const QUIET_MS = 1_000;
const KNOWN = 1_000;

const lately: Part<LRUCache<string, true>> = () => new LRUCache({ max: KNOWN, ttl: QUIET_MS });

/**
 * Counts messages that are not believed, for the alarm, and records who they say that they are from; those too of which an agent tells
 * that it did not believe them. The messages themselves are
 * evidence on the dead letter queue. Where it cannot be recorded the log says so.
 */
export async function keepEvidence(
  plane: ControlPlane,
  refused: readonly Refused[],
  stale: readonly Stale[],
): Promise<void> {
  const forged = [...refused.filter(({ error }) => error instanceof Unproven), ...stale.flatMap(reported)];
  if (forged.length === 0) return;
  const { db, log, settings, stamp } = plane;
  const dimensions = { service: "waybill", stage: settings.log.stage };
  const metrics = { RefusedMessages: { value: forged.length, unit: "Count" } } as const;
  log.metrics("messages not believed", embeddedMetrics("Waybill", dimensions, metrics, stamp.now()));
  for (const { message, error } of forged) {
    const { team, keyId, message: reason } = error as Unproven;
    const { from_agent, message_id, trace_id: traceId, type, payload } = message;
    const whose = `${team ?? ""} ${from_agent} ${payload.task_id ?? ""}`;
    if (plane.part(lately).has(whose)) continue;
    plane.part(lately).set(whose, true);
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
