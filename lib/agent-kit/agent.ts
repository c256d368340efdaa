import { setTimeout as sleep } from "node:timers/promises";
import { AgentName } from "../protocol/messages.ts";
import { log } from "../runtime/log.ts";
import { within } from "../time.ts";
import { beatOver } from "./beat.ts";
import type { RunTools } from "./begin.ts";
import { watchClock } from "./clock.ts";
import type { Work } from "./define-work.ts";
import { watchEventLoop } from "./event-loop.ts";
import { identityOf } from "./identity.ts";
import { Inbox, MOST_WAITING } from "./inbox.ts";
import { openJournal } from "./journal/open.ts";
import type { SturdyJournal } from "./journal/sturdy.ts";
import { type Definition, register } from "./register.ts";
import { execute } from "./run.ts";
import { startSender } from "./sender.ts";
import { amqpTransport } from "./transports/amqp-transport.ts";
import { type AgentSettings, readAgentEnv } from "./transports/env.ts";
import { sqsTransport } from "./transports/sqs-transport.ts";
import { retryMs, type Transport } from "./transports/transport.ts";
import type { Trust } from "./trust.ts";

/** What makes an agent this one. */
export type AgentOptions = {
  /** The name that messages and the registry know it by. */
  name: string;
  /** What it can do, by work_type. */
  work: Record<string, Work>;
  /** How many pieces of work it does at once; AGENT_CONCURRENCY overrides it. Default 4. */
  concurrency?: number;
  /** What the registry is told of it at its start: the path of its definition, or the definition. */
  definition?: Definition;
  /** How messages come and go; by default as AGENT_TRANSPORT says. */
  transport?: (settings: AgentSettings, name: string) => Transport;
};

/** An agent at work. `stop` hands back what it cannot finish within the grace; then `stopped` answers. */
export type Agent = { stop: () => void; stopped: Promise<void> };

/** As long as SQS keeps a message at most: nothing can be asked for again later. */
const RETENTION_MS = 14 * 24 * 3600 * 1000;
const LAST_SEND_MS = 1000;
const BUSY_PAUSE_MS = 200;

/**
 * Runs an agent as this process until SIGTERM or SIGINT, and then exits: work that ends within the grace is answered, the rest
 * handed back. A second signal exits at once.
 */
export async function runAgent(options: AgentOptions): Promise<void> {
  let agent: Agent;
  try {
    agent = startAgent(options, readAgentEnv(options.concurrency));
  } catch (error) {
    process.stderr.write(`The agent ${options.name} did not start. ${(error as Error).message}\n`);
    process.exit(1);
  }
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    if (++signals > 1) process.exit(130);
    log.info("agent stopping", { agent: options.name, signal });
    agent.stop();
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  await agent.stopped;
  // Work that did not listen to its signal may still hold the process.
  process.exit(0);
}

/**
 * Starts an agent within this process. Throws where its name is none, its settings do not say who it is, or its journal cannot be opened
 * or read.
 */
export function startAgent(options: AgentOptions, settings: AgentSettings): Agent {
  const name = AgentName.parse(options.name);
  const { concurrency } = settings;
  const identity = identityOf(settings);
  const journal = openJournal(settings.dataDir, name);
  answerInterrupted(journal);
  journal.forgetBefore(Date.now() - RETENTION_MS);
  const transport = (options.transport ?? chosenTransport)(settings, name);

  const sender = startSender(journal, transport, name, identity.sign);
  const tools: RunTools = { journal, wake: sender.wake, beat: beatOver(transport, name, identity.sign) };
  const clock = watchClock();
  const inbox = new Inbox({
    name,
    concurrency,
    ...tools,
    transport,
    clock,
    identity,
    execute: async (run) => await execute(run, options.work, tools).finally(() => watching.look()),
  });
  const forgetting = setInterval(() => journal.forgetBefore(Date.now() - RETENTION_MS), 3_600_000);
  const extending = setInterval(() => inbox.extend(), (settings.visibilitySeconds * 1000) / 3);
  const stopping = new AbortController();
  const polling = poll({ transport, inbox, journal, trust: identity.trust, wake: sender.wake }, stopping.signal);
  const registration = register(name, options.definition, settings.api, clock);
  const watching = watchEventLoop(() => inbox.inHand());
  log.info("agent started", { agent: name, work_types: Object.keys(options.work), concurrency });

  const end = async () => {
    const graceMs = settings.graceSeconds * 1000;
    registration.stop();
    await transport.stop?.();
    await Promise.all([within(graceMs, polling, () => {}), inbox.finish(graceMs)]);
    // What the last poll still brought in, after the others had been given back.
    await inbox.finish(0);
    clearInterval(forgetting);
    clearInterval(extending);
    watching.stop();
    await sender.stop(LAST_SEND_MS);
    await transport.close?.();
    journal.close();
    log.info("agent stopped", { agent: name });
  };
  const stopped = new Promise<void>((resolve, reject) => {
    stopping.signal.addEventListener("abort", () => void end().then(resolve, reject), { once: true });
  });
  return { stop: () => stopping.abort(), stopped };
}

function chosenTransport({ queue, ...settings }: AgentSettings, name: string): Transport {
  return queue.transport === "sqs"
    ? sqsTransport({ ...settings, queue })
    : amqpTransport({ ...settings, queue }, name, MOST_WAITING);
}

type Polling = { transport: Transport; inbox: Inbox; journal: SturdyJournal; trust: Trust; wake: () => void };

async function poll({ transport, inbox, journal, trust, wake }: Polling, signal: AbortSignal): Promise<void> {
  await trust.ready(signal);
  for (let failures = 0; !signal.aborted; ) {
    try {
      if (!journal.isWritable()) {
        inbox.stopLost();
        await Promise.all([inbox.giveBack(), transport.rest?.()]);
        await pause(BUSY_PAUSE_MS, signal);
        // What could not be read while the disk was broken is sent once it can.
        wake();
        continue;
      }
      const room = inbox.room();
      const deliveries = room > 0 ? await transport.receive(room) : [];
      failures = 0;
      for (const delivery of deliveries) await inbox.take(delivery);
      // With every place taken, another agent on the same queue gets the next work first.
      if (room === 0 || (deliveries.length > 0 && inbox.isBusy())) await pause(BUSY_PAUSE_MS, signal);
    } catch (error) {
      const wait_ms = retryMs(failures++);
      log.warn("queue not reachable", { wait_ms, error });
      await pause(wait_ms, signal);
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

/**
 * A crash cut these off, maybe one that they caused: so the attempt fails, whatever they had told, and the next one starts from
 * nothing. Begun again under the same attempt, work that kills its process would do so for ever.
 */
function answerInterrupted(journal: SturdyJournal): void {
  for (const { requestId, taskId, attempt, openSteps } of journal.interrupted()) {
    const reason = `its process ended in the middle of attempt ${attempt}`;
    for (const { step_number, action } of openSteps) {
      const step = { step_number, action, status: "failed" as const, summary: reason };
      journal.say(requestId, { type: "work_status", payload: { task_id: taskId, status: "executing", step } });
    }
    const payload = { task_id: taskId, status: "failed" as const, error_message: reason, retryable: true };
    journal.say(requestId, { type: "work_result", payload }, "stopped");
    log.warn("interrupted work given up", { task_id: taskId, attempt });
  }
}
