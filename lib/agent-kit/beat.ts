import { envelope } from "../protocol/envelope.ts";
import { ORCHESTRATOR, serialiseMessage, type WorkRequestMessage } from "../protocol/messages.ts";
import type { Sign } from "../protocol/signature.ts";
import { uuidv7 } from "../runtime/ids.ts";
import { log } from "../runtime/log.ts";
import type { Progress } from "./pulse.ts";
import { speaking, timeOfSending } from "./speaker.ts";
import type { Transport } from "./transports/transport.ts";

/** Says at once that a process has the run, which waits for its turn (held) or is being done (executing). Whether the queue has taken it. */
export type Beat = (
  run: { request: WorkRequestMessage; startId: string },
  status: "held" | "executing",
  progress?: Progress,
) => Promise<boolean>;

/** Signs of life of the agent `name`, sent past the journal. They never reject. */
export function beatOver(transport: Transport, name: string, sign: Sign): Beat {
  return async ({ request, startId }, status, progress = {}) => {
    const { request_id, trace_id, x_custom_fields } = request;
    const { task_id, attempt, lease_token } = request.payload;
    const alive = { task_id, attempt, ...speaking(startId, lease_token), status, ...progress };
    const identity = {
      messageId: uuidv7(),
      at: timeOfSending(),
      traceId: trace_id,
      requestId: request_id,
      customFields: x_custom_fields,
    };
    const body = serialiseMessage(envelope("work_status", name, ORCHESTRATOR, alive, identity), sign);
    const { error } = await transport.send([{ id: request_id, body }]);
    if (error !== undefined) log.warn("lease not renewed", { task_id, trace_id, error });
    return error === undefined;
  };
}
