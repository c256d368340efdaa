// Where the names are made: the agents know nothing of this folder, so both take them from the kit.
export * from "../lib/agent-kit/amqp-topology.ts";
