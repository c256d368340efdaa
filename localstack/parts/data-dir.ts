import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { takeLock } from "../../lib/terminal/file-lock.ts";

/** What a running stack writes down, for whoever comes second and for `serverless invoke local`. */
export type Running = { pid: number; url: string; environment: Record<string, string> };

/** A data directory that belongs to this process until it is released or the process is gone. */
export type DataDir = { path: string; announce: (running: Running) => void; release: () => void };

/**
 * Makes the directory and takes it. Throws, naming who has it and what to do, where another stack runs over it.
 */
export function takeDataDir(path: string): DataDir {
  makeDir(path);
  const lock = takeLock(join(path, "lock.db"));
  if (lock === undefined) throw new Error(takenBy(path));
  const note = join(path, "running.json");
  rmSync(note, { force: true });
  return {
    path,
    // For its owner alone: a database's URL may have a password.
    announce: (running) => writeFileSync(note, JSON.stringify(running), { mode: 0o600 }),
    release: () => {
      rmSync(note, { force: true });
      lock.release();
    },
  };
}

/** What the stack over this directory wrote down, or undefined where none runs. */
export function runningOver(path: string): Running | undefined {
  try {
    return JSON.parse(readFileSync(join(path, "running.json"), "utf8")) as Running;
  } catch {
    return undefined;
  }
}

/** Makes the directory, and looks whether all in it may be written: root may have been here before. */
function makeDir(path: string): void {
  const ground = nearest(path);
  if (!statSync(ground).isDirectory()) {
    const what = ground === resolve(path) ? "It" : ground;
    throw new Error(`The data directory ${path} cannot be made: ${what} is a file.\n${NAME_ANOTHER}`);
  }
  try {
    makeEach(ground, join(resolve(path), "logs"));
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new Error(
      `The data directory ${path} cannot be made in ${ground}: ${reason}\n` +
        `Make it yourself where you may, or n${NAME_ANOTHER.slice(1)}`,
      { cause },
    );
  }
  try {
    for (const part of [".", "logs", "agents", "sqs"]) {
      const folder = join(path, part);
      if (!existsSync(folder)) continue;
      accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
      for (const file of readdirSync(folder, { withFileTypes: true })) {
        if (file.isFile()) accessSync(join(folder, file.name), constants.R_OK | constants.W_OK);
      }
    }
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new Error(
      `The data directory ${path} cannot be written: ${reason}\n` +
        `Make it yours (sudo chown -R "$(id -u)" ${path}), or name another one: npm start -- --data DIR`,
      { cause },
    );
  }
}

const NAME_ANOTHER = "Name another one: npm start -- --data DIR";

/** The path itself, or the closest of its parents that is there. */
function nearest(path: string): string {
  let at = resolve(path);
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}

/** Makes what is missing one by one: node's recursive mkdir never ends below /proc, where everything is missing. */
function makeEach(ground: string, path: string): void {
  if (existsSync(path) || path === ground) return;
  makeEach(ground, dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another stack that starts at the same moment made it.
    if ((error as { code?: unknown }).code !== "EEXIST") throw error;
  }
}

function takenBy(path: string): string {
  const other = runningOver(path);
  const who =
    other === undefined ? "Another stack is starting" : `A stack already runs (pid ${other.pid}, ${other.url})`;
  const stop = other === undefined ? "Wait for it" : `Use it, stop it (kill ${other.pid})`;
  return `${who} over ${path}.\n${stop}, or start a second one beside it: npm start -- --port 3001 --data DIR`;
}
