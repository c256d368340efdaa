import type { Outcome, Outgoing } from "../runtime/aws/sqs.ts";
import { uuidv7 } from "../runtime/ids.ts";
import { type Log, log } from "../runtime/log.ts";
import { connect, type Pool } from "../runtime/postgres/db.ts";

/** What the control plane touches of the world. */
export type Edges = {
  db: Pool;
  /**
   * Puts messages on queues, by their URLs; answers which were taken, and why where one was not. Throws
   * only where the process was not given how to send, which is a fault of its entry point.
   */
  send: (messages: Outgoing[]) => Promise<Outcome>;
  now: () => Date;
  /** A new id, later ones greater. */
  newId: () => string;
  log: Log;
};

/**
 * The edges of this process: the database that its environment names, its clock, its log. Connects to nothing yet. It can send
 * only where it is given how: the client of SQS costs a cold start 40 ms, which a function that only reads never pays.
 */
export function processEdges(send: Edges["send"] = sendsNothing, db: Pool = connect()): Edges {
  return { db, send, now: () => new Date(), newId: () => uuidv7(), log };
}

/**
 * What `run` answers over the edges of a command: those of this process, with one connection to the database of `source`, which is
 * closed afterwards. Only the edges: nobody tells a command the queues that a whole control plane needs.
 */
export async function onEdges<T>(run: (edges: Edges) => Promise<T>, source?: NodeJS.ProcessEnv): Promise<T> {
  const edges = processEdges(undefined, connect(source, undefined, { max: 1 }));
  try {
    return await run(edges);
  } finally {
    await edges.db.end({ timeout: 1 });
  }
}

const sendsNothing: Edges["send"] = async () => {
  throw new Error("This process was not given how to send: hand sendAll to its edges.");
};
