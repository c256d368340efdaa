import type { Queues } from "../runtime/aws/queues.ts";
import { uuidv7 } from "../runtime/ids.ts";
import { type Log, log } from "../runtime/log.ts";
import { connect, type Pool } from "../runtime/postgres/db.ts";

/** What the control plane touches of the world. */
export type Edges = {
  db: Pool;
  queues: Queues;
  now: () => Date;
  /** A new id, later ones greater. */
  newId: () => string;
  /** Chance: at least 0, less than 1. */
  dice: () => number;
  log: Log;
};

/**
 * The edges of this process: the database that its environment names, its clock, its dice, its log. Connects to nothing yet. It reaches queues
 * only where it is given them (sqsQueues): the client of SQS costs a cold start 40 ms, which a function that only reads never pays.
 */
export function processEdges(queues: Queues = noQueues, db: Pool = connect()): Edges {
  return { db, queues, now: () => new Date(), newId: () => uuidv7(), dice: () => Math.random(), log };
}

const notGiven = async (): Promise<never> => {
  throw new Error("This process was given no queues: hand sqsQueues() to its edges.");
};

/** The queues of a process that was given none: whoever reaches for one finds a fault of the entry point. */
export const noQueues: Queues = {
  send: notGiven,
  find: notGiven,
  create: notGiven,
  deadLetterUrl: notGiven,
  hold: notGiven,
  counts: notGiven,
  isCarried: notGiven,
};
