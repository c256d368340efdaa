import { answerTo, type Refusal } from "../protocol/refusal.ts";
import type { Sign } from "../protocol/signature.ts";
import { uuidv7 } from "../runtime/ids.ts";
import { log } from "../runtime/log.ts";
import { settle } from "./settle.ts";
import { timeOfSending } from "./speaker.ts";
import type { Delivery, Transport } from "./transports/transport.ts";

/** Sends what does not follow the protocol towards the dead letters, and tells its sender once. Never rejects. */
export function refuser(
  name: string,
  transport: Transport,
  sign: Sign,
): (delivery: Delivery, refusal: Refusal) => Promise<void> {
  /** Ids of deliveries whose sender has not been told yet. */
  const unanswered = new Set<string>();
  /** Whether the sender has been told, or nobody is to be told. */
  const answer = async ({ id }: Delivery, refusal: Refusal) => {
    const body = answerTo(refusal, { from: name, deliveryId: id, newId: () => uuidv7(), now: timeOfSending(), sign });
    return body === undefined || (await transport.send([{ id, body }])).error === undefined;
  };
  return async (delivery, refusal) => {
    // Once per message, not once per delivery: it comes back until the redrive policy has had enough.
    if (delivery.receiveCount === 1 || unanswered.has(delivery.id)) {
      log.warn("message refused", { ...refusal.remains, error_code: refusal.error_code, reason: refusal.reason });
      if (!(await answer(delivery, refusal))) return void unanswered.add(delivery.id);
      unanswered.delete(delivery.id);
    }
    await settle([delivery], "reject");
  };
}
