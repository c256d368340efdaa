import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { parseMessage } from "../../../lib/protocol/messages.ts";
import type { worldOf } from "../database/world.ts";
import type { TestQueues } from "../queues/sqs.ts";

/** A message of the control plane to an agent, as far as tests look at it. */
export type Told = { type: string; payload: { task_id: string; status?: string } };

/**
 * Runs a control plane over real queues until the test is over: dispatches, ends leases, carries what it sends to its agent and records
 * what agents say. Answers the list of all that it sends, of which the queue loses what `loses` says, asked once for each.
 */
export function runPlane(
  world: ReturnType<typeof worldOf>,
  queues: TestQueues,
  loses = (_told: Told) => false,
): Told[] {
  const stopping = new AbortController();
  const told: Told[] = [];
  const heard: string[] = [];
  const hearing = queues.hear((body) => heard.push(body), stopping.signal);
  const round = async () => {
    await world.dispatch();
    await world.expire();
    for (const body of heard.splice(0)) {
      const parsed = parseMessage(body);
      if (parsed.ok) await world.record(parsed.message);
    }
    for (const { body, toAgent } of world.sent.splice(0)) {
      const message = JSON.parse(body) as Told;
      told.push(message);
      if (!loses(message)) await queues.put(toAgent, body);
    }
    await sleep(100);
  };
  const running = (async () => {
    while (!stopping.signal.aborted) await round();
  })();
  onTestFinished(async () => {
    stopping.abort();
    await Promise.all([running, hearing]);
  });
  return told;
}
