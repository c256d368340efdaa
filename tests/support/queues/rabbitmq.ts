import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ChannelModel, connect } from "amqplib";
import { queueOptions, type Topology } from "../../../lib/agent-kit/transports/amqp-topology.ts";
import { freePort } from "../../../localstack/parts/ports.ts";
import { borrow } from "../borrow.ts";
import { noteSkip } from "../skips.ts";

/** A broker to test on; stopping does nothing to one that is not ours. */
export type Broker = { url: string; stop: () => Promise<void> };

/** A broker of our own that a test may end as it likes. */
export type OwnBroker = Broker & {
  /** Ends it as a power cut does. */
  kill: () => Promise<void>;
  /** Starts it again over the same data and port, with other lines in its configuration where they are given. */
  start: (config?: string) => Promise<void>;
};

const SHARED = "amqp://guest:guest@127.0.0.1:5672";
const HOW =
  "Set RABBITMQ_URL, start RabbitMQ on 127.0.0.1:5672, or install rabbitmq-server (Debian: apt-get install rabbitmq-server).";

/**
 * How to get a broker: the one of RABBITMQ_URL, else one that answers on this machine, else the server of our own that the files of
 * a test run share. Undefined where there is none, and the run's last lines say so. Throws where RABBITMQ_URL does not answer, and
 * in CI instead of skipping.
 * Every use is under names of its own (see `prefix`), so that a shared broker stays as it was.
 */
export async function findBroker(): Promise<(() => Promise<Broker>) | undefined> {
  const named = process.env["RABBITMQ_URL"];
  if (named) {
    if (!(await answers(named))) throw new Error(`RABBITMQ_URL (${new URL(named).host}) does not answer.`);
    return shared(named);
  }
  if (await answers(SHARED)) return shared(SHARED);
  // The benchmarks have no run to share with.
  if (rabbitmqServer() !== undefined) return process.env["WAYBILL_TEST_LENDER"] ? brokerOfTheRun : startBroker;
  noteSkip(`Skipped: the tests that need RabbitMQ. ${HOW}`);
  return undefined;
}

/** How to get a broker of our own, which may be killed; undefined, and said so, where no rabbitmq-server is installed. */
export function findOwnBroker(): ((config?: string) => Promise<OwnBroker>) | undefined {
  if (rabbitmqServer() !== undefined) return startBroker;
  noteSkip("Skipped: the tests that kill a RabbitMQ of their own. Install rabbitmq-server.");
  return undefined;
}

/** What the names of one test file begin with. */
export function prefix(): string {
  return `t${randomBytes(5).toString("hex")}.`;
}

/** Deletes a queue, as somebody may on a broker, and declares it anew at once: both leave in one go. Its bindings are gone. */
export async function remakeQueue(connection: ChannelModel, names: Topology, queue: string): Promise<void> {
  const channel = await connection.createChannel();
  await Promise.all([channel.deleteQueue(queue), channel.assertQueue(queue, queueOptions(names, queue))]);
  await channel.close();
}

function shared(url: string): () => Promise<Broker> {
  return async () => ({ url, stop: async () => {} });
}

async function brokerOfTheRun(): Promise<Broker> {
  return await shared(await borrow("POST", "broker"))();
}

async function answers(url: string): Promise<boolean> {
  try {
    const connection = await connect(url, { timeout: 3000 });
    await connection.close();
    return true;
  } catch {
    return false;
  }
}

/** The server's program. Debian's on the PATH changes to another user and folder; the one behind it does not. */
function rabbitmqServer(): string | undefined {
  const folders = ["/usr/lib/rabbitmq/bin", ...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"];
  return folders.map((folder) => join(folder, "rabbitmq-server")).find((file) => existsSync(file));
}

/** Starts a server of our own, with nothing in common with any other: own name, ports, folder, cookie, name server. */
export async function startBroker(config = ""): Promise<OwnBroker> {
  const program = rabbitmqServer() ?? "";
  const dir = mkdtempSync(join(tmpdir(), "waybill-rabbitmq-"));
  const [port, distribution, names] = [await freePort(), await freePort(), await freePort()];
  mkdirSync(join(dir, "home"));
  writeFileSync(join(dir, "home", ".erlang.cookie"), randomBytes(16).toString("hex"), { mode: 0o400 });
  writeFileSync(join(dir, "plugins"), "[].");
  const configure = (lines: string) =>
    writeFileSync(
      join(dir, "rabbitmq.conf"),
      `listeners.tcp.local = 127.0.0.1:${port}\nlog.file = false\nlog.console = true\n${lines}\n`,
    );
  configure(config);
  const env = {
    PATH: process.env["PATH"],
    HOME: join(dir, "home"),
    RABBITMQ_NODENAME: `waybill${port}@localhost`,
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_BASE: dir,
    RABBITMQ_MNESIA_BASE: join(dir, "mnesia"),
    RABBITMQ_LOG_BASE: join(dir, "log"),
    RABBITMQ_CONFIG_FILE: join(dir, "rabbitmq.conf"),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(dir, "none.config"),
    RABBITMQ_CONF_ENV_FILE: join(dir, "none-env.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, "plugins"),
    // A name server of our own ends with us; the machine's would keep the names of servers that were killed.
    ERL_EPMD_PORT: String(names),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    // The tick is when a consumer_timeout is looked at: once a minute otherwise.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      "-kernel inet_dist_use_interface {127,0,0,1} -rabbit channel_tick_interval 250 +S 2:2",
  };
  const url = `amqp://guest:guest@127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  const start = async (lines?: string) => {
    if (lines !== undefined) configure(lines);
    child = await run(program, env, url);
  };
  const kill = async () => await end(child);
  const stop = async () => {
    await kill();
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, kill, start, stop };
}

async function run(program: string, env: NodeJS.ProcessEnv, url: string): Promise<ChildProcess> {
  // In a process group of its own: the server is a shell, an Erlang machine and their helpers, and ends as a whole. The name
  // server is among them, because the one that Erlang starts by itself is a daemon that would stay.
  const command = `epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 & exec "$0"`;
  const child = spawn("sh", ["-c", command, program], { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (piece: Buffer) => (said = (said + piece.toString()).slice(-4000)));
  }
  process.once("exit", () => signal(child));
  for (const deadline = Date.now() + 45_000; !(await answers(url)); await sleep(100)) {
    if (child.exitCode === null && Date.now() < deadline) continue;
    await end(child);
    throw new Error(`rabbitmq-server did not start. It said:\n${said}`);
  }
  return child;
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined) return;
  const gone = child.exitCode !== null || child.signalCode !== null;
  const closed = new Promise((resolve) => child.once("close", resolve));
  signal(child);
  if (!gone) await closed;
}

function signal(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nothing is left of it.
  }
}
