import { existsSync } from "node:fs";
import { join } from "node:path";
import { keepRunning, type Running } from "../processes/keep-running.ts";
import type { Broker } from "./rabbitmq.ts";

/** The example agents that run beside a local stack; each is agents/NAME.ts. */
const LOCAL_AGENTS = ["code", "infra"];

/** What an agent that is told to stop may take to hand its work back; it is ended a second later. */
const GRACE_SECONDS = 2;

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
  return run(name, join("agents", `${name}.ts`), start, process.cwd(), {
    AGENT_GRACE_SECONDS: String(GRACE_SECONDS),
    AGENT_POLL_SECONDS: "1",
    WAYBILL_AGENT_DATA: join(start.dataDir, "agents"),
    ...env,
    AGENT_QUEUE_URL: queues[name] ?? "",
    ...(start.broker === undefined ? { AGENT_TRANSPORT: "sqs" } : { AGENT_TRANSPORT: "amqp", ...named(start.broker) }),
  });
}

/** What this process has, and what the stack says. */
function environmentOf({ environment }: Start): NodeJS.ProcessEnv {
  return { ...process.env, ...environment };
}

function startBridge(start: Start, broker: Broker): Running {
  const short = { BRIDGE_PORT: "0", BRIDGE_POLL_SECONDS: "1", BRIDGE_GRACE_SECONDS: String(GRACE_SECONDS) };
  const env = { ...short, ...environmentOf(start), ...named(broker) };
  return run("bridge", join("localstack", "bridge", "main.ts"), start, start.root, env);
}

function named({ url, prefix }: Broker): Record<string, string> {
  return { RABBITMQ_URL: url, RABBITMQ_PREFIX: prefix };
}

function run(name: string, script: string, start: Start, cwd: string, env: NodeJS.ProcessEnv): Running {
  const { root, dataDir, onLine, onCrash } = start;
  const logFile = join(dataDir, "logs", name === "bridge" ? "bridge.log" : `agent-${name}.log`);
  const args = ["--import", join(root, "localstack", "processes", "follow-parent.ts"), join(root, script)];
  const program = {
    command: process.execPath,
    args,
    cwd,
    env: { ...env, NO_COLOR: "1" },
    channel: true,
    logFile,
    onLine: (line: string) => onLine(name, line),
  };
  return keepRunning({ name, program, stopMs: (GRACE_SECONDS + 1) * 1000, onCrash });
}
