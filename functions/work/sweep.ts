import type { Context } from "aws-lambda";
import { system } from "../../lib/access/actor.ts";
import { sqsQueues } from "../../lib/runtime/aws/queues.ts";
import { functionPlane } from "../../lib/wiring/serve.ts";
import { sweep } from "../../lib/wiring/sweep.ts";

const plane = functionPlane(sqsQueues());

/** Every minute: does what nobody's message does, and what a crash left undone; lib/wiring/sweep.ts has the list. */
export const handler = async (_event?: unknown, context?: Context) =>
  await sweep(plane, system("sweep"), context?.getRemainingTimeInMillis());
