import { setTimeout as sleep } from "node:timers/promises";
import { envelope } from "../protocol/envelope.ts";
import { type Message, ORCHESTRATOR, serialiseMessage } from "../protocol/messages.ts";
import type { Sign } from "../protocol/signature.ts";
import { log } from "../runtime/log.ts";
import { within } from "../time.ts";
import type { Unsent } from "./journal/journal.ts";
import type { SturdyJournal } from "./journal/sturdy.ts";
import { speaking, timeOfSending } from "./speaker.ts";
import { type Letter, retryMs, type Transport } from "./transports/transport.ts";

/** At most this many messages are read from the journal and on their way at once: 6 MB. */
const IN_FLIGHT = 20;

/** What sends an agent's journal to the results queue. */
export type Sender = {
  /** Something new is in the journal. */
  wake: () => void;
  /** Answers when everything is sent, or after `ms` whether it is or not; nothing is sent after that. */
  stop: (ms: number) => Promise<void>;
};

/** Sends what the journal holds, in order, trying again for ever while the queue does not take it. */
export function startSender(journal: SturdyJournal, transport: Transport, name: string, sign: Sign): Sender {
  const closing = new AbortController();
  let busy = false;
  let draining: Promise<void> = Promise.resolve();

  const drain = async () => {
    for (let failures = 0; !closing.signal.aborted; ) {
      const rows = journal.unsent(IN_FLIGHT);
      if (rows.length === 0) {
        // In the same tick as the look: whoever writes after it finds nobody at work and starts again.
        busy = false;
        return;
      }
      const letters = rows.flatMap((row) => letterOf(row, name, sign));
      const { sent, error } = await transport.send(letters);
      if (closing.signal.aborted) return;
      const taken = new Set(sent);
      // One that can never be sent must not hold up all others for ever.
      const written = new Set(letters.map(({ id }) => id));
      for (const { seq } of rows) if (!written.has(String(seq))) taken.add(String(seq));
      journal.markSent(rows.filter((row) => taken.has(String(row.seq))));
      if (error === undefined) failures = 0;
      else {
        const wait_ms = retryMs(failures++);
        log.warn("messages not sent", { unsent: letters.length - sent.length, wait_ms, error });
        await sleep(wait_ms, undefined, { signal: closing.signal }).catch(() => {});
      }
    }
  };
  const wake = () => {
    if (busy) return;
    busy = true;
    draining = drain().catch((error: unknown) => {
      busy = false;
      log.error("sending failed", { error });
    });
  };
  wake();
  return {
    wake,
    stop: async (ms) => {
      await within(ms, draining, () => {});
      closing.abort();
    },
  };
}

function letterOf(row: Unsent, name: string, sign: Sign): Letter[] {
  try {
    return [{ id: String(row.seq), body: serialiseMessage(toMessage(row, name), sign) }];
  } catch (error) {
    log.error("message dropped", { request_id: row.requestId, trace_id: row.traceId, type: row.said.type, error });
    return [];
  }
}

function toMessage(
  { said, attempt, startId, leaseToken, messageId, traceId, requestId, customFields }: Unsent,
  name: string,
): Message {
  const payload = { ...said.payload, attempt, ...speaking(startId, leaseToken) };
  const identity = { messageId, at: timeOfSending(), traceId, requestId, customFields };
  return envelope(said.type, name, ORCHESTRATOR, payload, identity);
}
