import { setTimeout as sleep } from "node:timers/promises";
import type { ConfirmChannel } from "amqplib";
import type { Publish } from "../../lib/agent-kit/transports/amqp-publisher.ts";
import { declareTopology, type Topology } from "../../lib/agent-kit/transports/amqp-topology.ts";
import { AgentName } from "../../lib/protocol/fields.ts";
import { log } from "../../lib/runtime/log.ts";
import type { Counters } from "./flow/counters.ts";
import { backOff, type Signals } from "./flow/signals.ts";
import { startOutbound } from "./outbound.ts";
import type { Bury } from "./poison.ts";
import type { KeptConnection } from "./rabbitmq/kept-connection.ts";
import type { BridgeSettings } from "./settings.ts";
import { listQueues, sqsQueue } from "./sqs/queue.ts";

type Parts = {
  settings: Pick<BridgeSettings, "rabbitPrefix" | "visibilitySeconds" | "pollSeconds" | "inHand">;
  outgoing: KeptConnection<ConfirmChannel>;
  publish: Publish;
  names: Topology;
  bury: Bury;
  counters: Counters;
  signals: Signals;
};

const LOOK_MS = 10_000;

/** The agents whose messages are carried from SQS to the broker. */
export class CarriedAgents {
  readonly #parts: Parts;
  /** By name, until the agent's last message is out of hand. */
  readonly #carried = new Map<string, Promise<void>>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Whose messages are carried now. */
  names(): string[] {
    return [...this.#carried.keys()];
  }

  /** Carries an agent's messages from now on; `found` where its queue may be removed meanwhile. Not one that is carried already. */
  async add(agent: string, queueUrl: string, found: boolean): Promise<void> {
    if (this.#carried.has(agent) || !AgentName.safeParse(agent).success) return;
    this.#carried.set(agent, this.#carry(agent, queueUrl, found));
    const connection = this.#parts.outgoing.opened()?.connection;
    // Where this fails, the first message finds no queue, and then all is declared anew.
    if (connection !== undefined) {
      await declareTopology(connection, [agent], this.#parts.settings.rabbitPrefix).catch(() => {});
    }
    log.info("agent bridged", { agent, queue: queueUrl });
  }

  /** Adds the agents whose queues' names begin so, every ten seconds until it is to stop. */
  async discover(prefix: string): Promise<void> {
    const { stopping } = this.#parts.signals;
    for (let failures = 0; !stopping.aborted; ) {
      try {
        for (const [agent, queueUrl] of Object.entries(await listQueues(prefix))) await this.add(agent, queueUrl, true);
        failures = 0;
        await sleep(LOOK_MS, undefined, { signal: stopping }).catch(() => {});
      } catch (error) {
        if (failures === 0) log.warn("queues not listed", { prefix, error });
        await backOff(failures++, stopping);
      }
    }
  }

  /** Answers when nothing of those that are carried now is in hand any more. */
  async ended(): Promise<void> {
    await Promise.all(this.#carried.values());
  }

  async #carry(agent: string, queueUrl: string, found: boolean): Promise<void> {
    const { settings, outgoing, publish, names, bury, counters, signals } = this.#parts;
    const { visibilitySeconds, pollSeconds, inHand } = settings;
    const queue = sqsQueue(queueUrl, visibilitySeconds);
    const ready = (signal: AbortSignal) => outgoing.ready(signal);
    const limits = { visibilitySeconds, pollSeconds, inHand, found };
    try {
      await startOutbound({ agent, queue, ready, publish, names, bury, counters, signals, ...limits });
    } finally {
      if (!signals.stopping.aborted) {
        this.#carried.delete(agent);
        log.info("agent gone", { agent, queue: queueUrl });
      }
    }
  }
}
