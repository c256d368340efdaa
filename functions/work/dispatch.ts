import { system } from "../../lib/access/actor.ts";
import { sqsQueues } from "../../lib/runtime/aws/queues.ts";
import { queue } from "../../lib/wiring/queue.ts";
import { functionPlane } from "../../lib/wiring/serve.ts";
import { startReady } from "../../lib/wiring/work.ts";

const plane = functionPlane(sqsQueues());

/** Work queue: a batch of hints that work is ready. Whatever they name, the best ready work is sent to its agents. */
export const handler = queue(plane, async () => {
  await startReady(plane, system("dispatch"));
  return [];
});
