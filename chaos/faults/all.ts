import { AGENTS } from "./agents.ts";
import { CALLERS } from "./callers.ts";
import { CONNECTIONS } from "./connections.ts";
import type { Fault } from "./fault.ts";
import { FUNCTIONS } from "./functions.ts";
import { POSTGRES } from "./postgres.ts";
import { QUEUES } from "./queues.ts";
import { RABBITMQ } from "./rabbitmq.ts";

const none: Fault = {
  id: "none",
  breaks: "nothing",
  holds: "all invariants, and nothing is run twice",
  lasts: 4_000,
  inject: async () => async () => {},
};

/** Every fault, in the order in which they are run. */
export const FAULTS: readonly Fault[] = [
  none,
  ...POSTGRES,
  ...CONNECTIONS,
  ...QUEUES,
  ...FUNCTIONS,
  ...AGENTS,
  ...CALLERS,
  ...RABBITMQ,
];
