import type { Tamper } from "../ways/database-proxy.ts";
import type { QueueTamper } from "../ways/queue-proxy.ts";
import { SANDBOXES } from "../world/cloud.ts";
import type { World } from "../world/world.ts";

/** The processes of the functions. */
export const functionsOf = ({ sandboxes }: World) => SANDBOXES.map((name) => sandboxes[name]);

/** Has the connections of all functions to the database tampered with; answers how it ends. */
export function tamperDatabases(world: World, how: Tamper): () => Promise<void> {
  const ways = functionsOf(world).map(({ database }) => database);
  for (const way of ways) way.tamper(how);
  return async () => ways.forEach((way) => way.tamper());
}

/** Has the calls of SQS of all functions and agents tampered with; answers how it ends. */
export function tamperQueues(world: World, how: QueueTamper): () => Promise<void> {
  const ways = [...functionsOf(world), ...world.agents].map(({ queues }) => queues);
  for (const way of ways) way.tamper(how);
  return async () => ways.forEach((way) => way.tamper());
}
