import { audit } from "../access/record.ts";
import { withConnections } from "../runtime/postgres/pool.ts";
import type { Gate, Identify, KeepRefusal } from "./acting.ts";
import type { Edges } from "./edges.ts";
import { lately } from "./lately.ts";

/** On Lambda the answer waits for what comes after it, so it gives up soon. */
const PATIENCE_MS = 2_000;

/** Who looks at calls. Refusals are kept by each instance for itself; where that fails the log says so, and the answer is the same. */
export function gateOf({ db, log }: Pick<Edges, "db" | "log">, identify: Identify): Gate {
  // Of a key, or of an address where no key is known, one refusal a second is kept: a flood does not fill the record.
  const wasKept = lately();
  const keepRefusal: KeepRefusal = ({ actor, operation, status, code }, { origin, waitUntil }) => {
    const whose = actor?.keyId ?? actor?.id ?? origin.ip ?? "";
    if (wasKept(whose)) return;
    const who = actor ?? { kind: "unknown" as const, name: "unknown", team: null, origin };
    const object = ["call", operation] as const;
    const event = { action: "access.refused", object, reason: code, details: { status } } as const;
    waitUntil(async () => {
      await withConnections(false, async () => await audit(db, who, event), PATIENCE_MS).catch((error: unknown) =>
        log.warn("refused call not kept", { error, operation, code, trace_id: origin.traceId }),
      );
    });
  };
  return { identify, keepRefusal };
}
