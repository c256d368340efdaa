// Not execa: its kill and its timeout reach the process alone, while here all that a command has started is ended, by its group and by
// a mark in its environment; nor does it give up output that a process left behind holds open.
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { WorkFailed } from "../../lib/agent-kit/define-work.ts";
import type { Rules } from "./env.ts";
import { Output, type Written } from "./output.ts";
import { kill, type Running, signalAll } from "./processes.ts";
import { searchPath } from "./rules.ts";
import { Stopping } from "./stopping.ts";

type Command = {
  file: string;
  args: string[];
  cwd: string;
  timeout_seconds: number | undefined;
  signal: AbortSignal;
  rules: Rules;
  write: (bytes: Uint8Array) => void;
};

/** How a command ended. `stopped` says why we ended it; a signal counts as exit code 128 + its number, as in a shell. */
type Ended = Written & {
  exitCode: number;
  signal: NodeJS.Signals | undefined;
  stopped: string | undefined;
};

/** How long output may be silent after the command itself has ended: a process that it left behind may hold the pipe. */
const LINGER_MS = 500;

const commands = new Set<Running>();
// No command that we started survives us, however we end, short of SIGKILL.
process.on("exit", () => {
  for (const command of commands) signalAll(command, "SIGKILL");
});

/**
 * Runs a program without a shell, in a process group of its own, with nothing to read and a minimal environment. Answers when it
 * and its output have ended. On abort, at the timeout, and past the limit of output all that it has started is ended too.
 */
export async function runCommand(command: Command): Promise<Ended> {
  const { signal, timeout_seconds, write } = command;
  const { outputBytes } = command.rules;
  signal.throwIfAborted();
  const mark = randomUUID();
  const child = start(command, mark);
  if (child.pid === undefined) throw await notStarted(child);
  const running = { group: child.pid, mark };
  commands.add(running);
  const stopping = new Stopping(running, signal, timeout_seconds);
  const output = new Output(outputBytes, write);
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (piece: Buffer) => {
      if (output.take(name, piece)) return;
      stopping.stop(`wrote more than ${outputBytes} bytes of output; WAYBILL_CODE_OUTPUT_BYTES changes the limit`);
    });
  }
  const [code, endedBy] = await ended(child, running.group, () => output.silentMs());
  await stopping.end();
  commands.delete(running);
  return {
    exitCode: code ?? 128 + (endedBy === null ? 0 : constants.signals[endedBy]),
    signal: endedBy ?? undefined,
    stopped: stopping.why,
    ...output.written(),
  };
}

function start({ file, args, cwd }: Command, mark: string): ChildProcess {
  // A command within a command carries the marks of both.
  const marks = [process.env["WAYBILL_COMMAND"] ?? [], mark].flat().join(" ");
  const env = { ...childEnv(), WAYBILL_COMMAND: marks };
  return spawn(file, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
}

async function notStarted(child: ChildProcess): Promise<WorkFailed> {
  const [cause] = (await once(child, "error")) as [Error];
  return new WorkFailed(`the command did not start: ${cause.message}`, {}, cause);
}

type Exit = [code: number | null, signal: NodeJS.Signals | null];

async function ended(child: ChildProcess, group: number, silentMs: () => number): Promise<Exit> {
  const closed = once(child, "close") as Promise<Exit>;
  const exit = (await once(child, "exit")) as Exit;
  kill(-group, "SIGKILL");
  const lingering = new AbortController();
  const silence = async () => {
    do await sleep(LINGER_MS, undefined, { signal: lingering.signal });
    while (silentMs() < LINGER_MS);
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  await Promise.race([closed, silence().catch(() => {})]);
  lingering.abort();
  return exit;
}

/** What a child may know of our environment: where programs are, who and where it is. No credential has a name of these. */
function childEnv(): NodeJS.ProcessEnv {
  const names = ["HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR"];
  const known = names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  return { ...Object.fromEntries(known), PATH: searchPath(), GIT_TERMINAL_PROMPT: "0" };
}
