import { log } from "../runtime/log.ts";
import type { Delivery } from "./transports/transport.ts";

/** Tells the queue, which may be away: then the message comes again, and the journal knows it. Never rejects. */
export async function settle(
  deliveries: Delivery[],
  how: "accept" | "release" | "reject" | "extend" | "passOn",
): Promise<void> {
  const outcomes = await Promise.allSettled(deliveries.map((delivery) => delivery[how]()));
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") log.debug("message not settled", { how, error: outcome.reason });
  }
}
