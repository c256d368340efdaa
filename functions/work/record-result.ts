import { system } from "../../lib/access/actor.ts";
import { sqsQueues } from "../../lib/runtime/aws/queues.ts";
import { queue } from "../../lib/wiring/queue.ts";
import { functionPlane } from "../../lib/wiring/serve.ts";
import { record } from "../../lib/wiring/work.ts";

const plane = functionPlane(sqsQueues());

/** Results queue: records what agents say, a batch in one transaction; a message that the database refuses fails alone. */
export const handler = queue(plane, async (received) => await record(plane, system("record-result"), received));
