// What goes wrong under load, and that all accepted work ends all the same.
import { setTimeout as sleep } from "node:timers/promises";
import { must } from "../must.ts";
import { allWell, memory } from "./containers.ts";
import { type Amount, load } from "./load.ts";
import type { Stack, Variant } from "./stack.ts";
import type { Trial } from "./trial.ts";

type Fault = {
  name: string;
  says: string;
  /** Whether the agent's process itself is ended: what it had begun may begin again. */
  endsAgent?: boolean;
  strike: (stack: Stack) => Promise<unknown>;
};

/** What an agent does at once, at most: AGENT_CONCURRENCY. */
const IN_HAND = 4;

/** When the fault strikes, after the load has begun. */
const STRIKE_MS = 3_000;
const WELL_MS = 180_000;

const NONE: Fault = { name: "load", says: "nothing goes wrong", strike: async () => {} };

const restart = (service: string, endsAgent = false): Fault => ({
  name: `restart-${service}`,
  says: `${service} is restarted`,
  endsAgent,
  strike: async (stack) => await stack.compose("restart", service),
});

const kill = (service: string, endsAgent = false): Fault => ({
  name: `kill-${service}`,
  says: `${service} is killed (SIGKILL)`,
  endsAgent,
  strike: async (stack) => await stack.kill(service),
});

const away = (service: string, seconds: number): Fault => ({
  name: `${service}-away-${seconds}`,
  says: `${service} is stopped for ${seconds} s`,
  strike: async (stack) => {
    await stack.compose("stop", service);
    await sleep(seconds * 1000);
    await stack.compose("start", service);
  },
});

const paused = (service: string, seconds: number): Fault => ({
  name: `${service}-paused-${seconds}`,
  says: `${service} is frozen for ${seconds} s`,
  strike: async (stack) => {
    await stack.compose("pause", service);
    await sleep(seconds * 1000);
    await stack.compose("unpause", service);
  },
});

const STOP_START: Fault = {
  name: "stop-start",
  says: "everything is stopped, and started again",
  endsAgent: true,
  strike: async (stack) => {
    await stack.compose("stop");
    await stack.compose("start");
  },
};

const bySqs: Fault[] = [
  NONE,
  restart("functions"),
  kill("functions"),
  kill("postgres"),
  kill("localstack"),
  kill("bridge"),
  restart("agent-code", true),
  kill("agent-code", true),
  paused("postgres", 20),
  away("postgres", 45),
  away("postgres", 90),
  STOP_START,
];

const byRabbitMq: Fault[] = [
  NONE,
  restart("rabbitmq"),
  kill("rabbitmq"),
  kill("localstack"),
  kill("bridge"),
  kill("functions"),
  kill("agent-code", true),
  STOP_START,
];

function trialOf(variant: Variant, fault: Fault): Trial {
  return {
    name: `${fault.name}${variant === "sqs" ? "" : "-amqp"}`,
    says: `all accepted work ends, once, while ${fault.says}`,
    variant,
    run: async (stack, amount) => await underLoad(stack, amount, fault),
  };
}

async function underLoad(stack: Stack, amount: Amount, { strike, endsAgent = false }: Fault): Promise<string> {
  const striking = sleep(STRIKE_MS).then(async () => await strike(stack));
  const [outcome] = await Promise.all([load(stack, amount), striking]);
  const { accepted, completed, otherwise, repeated, missing, seconds } = outcome;
  must(completed === accepted, `${completed} of ${accepted} completed; ${otherwise.slice(0, 5).join("; ")}`);
  must(missing.length === 0, `completed without having run: ${missing.slice(0, 5).join(", ")}`);
  must(repeated.length <= (endsAgent ? IN_HAND : 0), `ran more than once: ${repeated.slice(0, 5).join(", ")}`);
  const well = await untilWell(stack);
  const again = repeated.length === 0 ? "none twice" : `${repeated.length} in hand began again`;
  return `${completed} of ${accepted} completed in ${seconds} s, ${again}; all well ${well} s later; ${await memory(stack)}`;
}

/** Seconds until every service was healthy again by itself. */
async function untilWell(stack: Stack): Promise<number> {
  const began = performance.now();
  for (;;) {
    const fault = await allWell(stack);
    const seconds = (performance.now() - began) / 1000;
    if (fault === undefined) return Math.round(seconds);
    must(seconds * 1000 < WELL_MS, `${fault} after ${WELL_MS / 1000} s`);
    await sleep(1000);
  }
}

export const sqsFaults: Trial[] = bySqs.map((fault) => trialOf("sqs", fault));
export const rabbitMqFaults: Trial[] = byRabbitMq.map((fault) => trialOf("rabbitmq", fault));
