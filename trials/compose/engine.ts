import { type ChildProcess, spawn } from "node:child_process";
import { Failed } from "../../lib/terminal/command.ts";

/** How a program ended, and what it said on both its outputs. */
export type Ran = { code: number; out: string };

/** What a program is given beside its arguments. `limitMs`: it is killed then; a quarter of an hour where nobody says. */
export type RunOptions = { env?: NodeJS.ProcessEnv; limitMs?: number; cwd?: string };

const LIMIT_MS = 900_000;

const running = new Set<ChildProcess>();

/** Ends what runs, and waits until it has: Compose hands the signal on to nobody, and leaves containers half made. */
export async function endRunning(): Promise<void> {
  const ends = [...running].map(async (child) => await new Promise((resolve) => child.once("close", resolve)));
  for (const child of running) child.kill("SIGTERM");
  await Promise.all(ends);
}

/** Runs a program to its end. Rejects where it cannot be started. */
export async function run(program: string, args: string[], options: RunOptions = {}): Promise<Ran> {
  const { limitMs = LIMIT_MS, ...more } = options;
  // A group of its own: Ctrl-C reaches this program alone, which then cleans up with the same commands.
  const child = spawn(program, args, { ...more, stdio: ["ignore", "pipe", "pipe"], detached: true });
  running.add(child);
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => (out += piece.toString()));
  return await new Promise((resolve, reject) => {
    const over = () => {
      running.delete(child);
      clearTimeout(timer);
    };
    child.once("error", (error) => {
      over();
      reject(error);
    });
    child.once("close", (code) => {
      over();
      resolve({ code: code ?? 1, out });
    });
  });
}

/** Throws, with what to do, where this machine has no engine that runs, or a Compose that is too old for the files. */
export async function checkEngine(): Promise<void> {
  const engine = await run("docker", ["info"]).catch(() => undefined);
  if (engine === undefined) {
    throw new Failed(
      "There is no Docker here. Install Docker Engine with its plugins compose and buildx, or Docker Desktop (https://docs.docker.com/engine/install), then: npm run try:compose",
    );
  }
  if (engine.code !== 0) {
    throw new Failed(
      `The Docker engine does not answer. Start it, and see that you may use it: docker info\n${engine.out}`,
    );
  }
  const compose = await run("docker", ["compose", "version", "--short"]);
  if (compose.code !== 0 || !/^v?(2\.(2[4-9]|[3-9]\d)|[3-9]|\d\d)/.test(compose.out.trim())) {
    throw new Failed(
      `Docker Compose 2.24 or later is needed, and here is: ${compose.out.trim()}. Install the plugin: https://docs.docker.com/compose/install`,
    );
  }
}
