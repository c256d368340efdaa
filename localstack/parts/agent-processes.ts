import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { agentSettings } from "../../lib/agent-kit/transports/env.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { bridgeSettings } from "../bridge/settings.ts";
import { keepRunning, type Running } from "../processes/keep-running.ts";
import { keyFile, readKey } from "./keys.ts";
import type { Broker } from "./rabbitmq.ts";

/** The example agents that run beside a local stack; each is agents/NAME.ts. */
export const LOCAL_AGENTS: readonly string[] = ["code", "infra"];

/** What holds for the agents and the bridge of a local stack where nothing is set: they answer and stop sooner. */
const AGENT_DEFAULTS = { AGENT_GRACE_SECONDS: "2", AGENT_POLL_SECONDS: "1" };
const BRIDGE_DEFAULTS = { BRIDGE_PORT: "0", BRIDGE_POLL_SECONDS: "1", BRIDGE_GRACE_SECONDS: "2" };

/** What a program may take beyond its grace and its last poll, to say what it has handed back. */
const LAST_WORDS_MS = 3000;

/** The programs beside the functions: the agents, and the bridge where they speak AMQP. */
export type Agents = { pids: () => Record<string, number | undefined>; stop: () => Promise<void> };

type Start = {
  root: string;
  dataDir: string;
  environment: Record<string, string>;
  /** Without them only the bridge runs. */
  agents: boolean;
  /** Where given, the agents speak AMQP to it, and a bridge connects it with SQS. */
  broker?: Broker | undefined;
  onLine: (source: string, line: string) => void;
  onCrash: (agent: string, how: string, waitMs: number, said: string) => void;
};

/** Starts the agents, and the bridge that they need, as processes of their own, and again when one ends by itself. */
export function startAgents(start: Start): Agents {
  const bridge = start.broker === undefined ? [] : [startBridge(start, start.broker)];
  const names = start.agents ? LOCAL_AGENTS : [];
  const agents = names
    .filter((name) => existsSync(join(start.root, "agents", `${name}.ts`)))
    .map((name) => startAgent(name, start));
  return {
    pids: () => Object.fromEntries([...bridge, ...agents].map(({ name, pid }) => [name, pid()])),
    stop: async () => {
      await Promise.all(agents.map(({ stop }) => stop()));
      // Last: it carries what the agents still say.
      await Promise.all(bridge.map(({ stop }) => stop()));
    },
  };
}

function startAgent(name: string, start: Start): Running {
  const env = environmentOf(start);
  const queues = JSON.parse(env["AGENT_QUEUES"] ?? "{}") as Record<string, string>;
  const all = {
    ...AGENT_DEFAULTS,
    WAYBILL_AGENT_DATA: join(start.dataDir, "agents"),
    ...env,
    AGENT_QUEUE_URL: queues[name] ?? "",
    // Of its own, whatever key this process has.
    WAYBILL_API_KEY: readKey(keyFile(start.dataDir, name)) ?? "",
    // Not for agents, where this process has it.
    SIGNING_SECRET: "",
    ...(start.broker === undefined ? { AGENT_TRANSPORT: "sqs" } : { AGENT_TRANSPORT: "amqp", ...named(start.broker) }),
  };
  const { graceSeconds, pollSeconds } = agentSettings;
  return run(name, join("agents", `${name}.ts`), start, {
    cwd: process.cwd(),
    env: all,
    stopMs: longestStop(readSettings({ graceSeconds, pollSeconds }, all)),
  });
}

/** What this process has set, and what the stack says. */
function environmentOf({ environment }: Start): NodeJS.ProcessEnv {
  const set = Object.entries(process.env).filter(([, value]) => value !== "");
  return { ...Object.fromEntries(set), ...environment };
}

function startBridge(start: Start, broker: Broker): Running {
  const env = { ...BRIDGE_DEFAULTS, ...environmentOf(start), ...named(broker) };
  const { graceSeconds, pollSeconds } = bridgeSettings;
  return run("bridge", join("localstack", "bridge", "main.ts"), start, {
    cwd: start.root,
    env,
    stopMs: longestStop(readSettings({ graceSeconds, pollSeconds }, env)),
  });
}

/** Longest that a program which obeys its settings takes to stop. */
function longestStop(settings: { graceSeconds: number; pollSeconds: number }): number {
  return Math.max(settings.graceSeconds, settings.pollSeconds) * 1000 + LAST_WORDS_MS;
}

function named({ url, prefix }: Broker): Record<string, string> {
  return { RABBITMQ_URL: url, RABBITMQ_PREFIX: prefix };
}

type How = { cwd: string; env: NodeJS.ProcessEnv; stopMs: number };

function run(name: string, script: string, start: Start, { cwd, env, stopMs }: How): Running {
  const { root, dataDir, onLine, onCrash } = start;
  const logFile = join(dataDir, "logs", name === "bridge" ? "bridge.log" : `agent-${name}.log`);
  const follow = pathToFileURL(join(root, "localstack", "processes", "follow-parent.ts"));
  follow.searchParams.set("stop_ms", String(stopMs));
  const args = ["--import", follow.href, join(root, script)];
  const program = {
    command: process.execPath,
    args,
    cwd,
    env: { ...env, NO_COLOR: "1" },
    channel: true,
    logFile,
    onLine: (line: string) => onLine(name, line),
  };
  return keepRunning({ name, program, stopMs, onCrash });
}
