// Not execa: its kill and its timeout reach the process alone, while here all that a command has started is ended, by its group and by
// a mark in its environment; nor does it give up output that a process left behind holds open.
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { coded, WorkFailed } from "../../lib/agent-kit/define-work.ts";
import type { Rules } from "./env.ts";
import { endMarked, kill, type Running, signalAll } from "./processes.ts";
import { searchPath } from "./rules.ts";

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
type Ended = {
  exitCode: number;
  signal: NodeJS.Signals | undefined;
  stopped: string | undefined;
  stdoutBytes: number;
  stderrBytes: number;
  /** The end of each, for people. */
  stdoutEnd: string;
  stderrEnd: string;
};

/** From SIGTERM to SIGKILL. */
const KILL_MS = 300;
/** How long output may be silent after the command itself has ended: a process that it left behind may hold the pipe. */
const LINGER_MS = 500;
const TAIL_BYTES = 2000;
const LAST_LINES = 10;

const commands = new Set<Running>();
// No command that we started survives us, however we end, short of SIGKILL.
process.on("exit", () => {
  for (const command of commands) signalAll(command, "SIGKILL");
});

/**
 * Runs a program without a shell, in a process group of its own, with nothing to read and a minimal environment. Answers when it
 * and its output have ended. On abort, at the timeout, and past the limit of output all that it has started is ended too.
 */
export async function runCommand({ file, args, cwd, timeout_seconds, signal, rules, write }: Command): Promise<Ended> {
  signal.throwIfAborted();
  const id = randomUUID();
  // A command within a command carries the marks of both.
  const marks = [process.env["WAYBILL_COMMAND"] ?? [], id].flat().join(" ");
  const env = { ...childEnv(), WAYBILL_COMMAND: marks };
  const child = spawn(file, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const group = child.pid;
  if (group === undefined) {
    const [cause] = (await once(child, "error")) as [Error];
    throw new WorkFailed(`the command did not start: ${cause.message}`, {}, cause);
  }
  const running = { group, mark: id };
  commands.add(running);
  let stopped: string | undefined;
  let killing: NodeJS.Timeout | undefined;
  const stop = (why: string) => {
    if (stopped !== undefined) return;
    stopped = why;
    signalAll(running, "SIGTERM");
    killing = setTimeout(() => signalAll(running, "SIGKILL"), KILL_MS);
  };
  const onAbort = () => stop("stopped");
  signal.addEventListener("abort", onAbort, { once: true });
  const timer =
    timeout_seconds === undefined
      ? undefined
      : setTimeout(() => stop(coded(5006, `timed out after ${timeout_seconds} s`)), timeout_seconds * 1000);

  const bytes = { stdout: 0, stderr: 0 };
  const tails = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  let heardAt = performance.now();
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (piece: Buffer) => {
      heardAt = performance.now();
      const left = rules.outputBytes - bytes.stdout - bytes.stderr;
      const kept = piece.subarray(0, left);
      bytes[name] += kept.length;
      tails[name] = Buffer.concat([tails[name], kept]).subarray(-TAIL_BYTES);
      if (kept.length > 0) write(kept);
      if (kept.length < piece.length) {
        stop(`wrote more than ${rules.outputBytes} bytes of output; WAYBILL_CODE_OUTPUT_BYTES changes the limit`);
      }
    });
  }
  const [code, endedBy] = await ended(child, group, () => performance.now() - heardAt);
  clearTimeout(timer);
  clearTimeout(killing);
  signal.removeEventListener("abort", onAbort);
  if (stopped !== undefined) await endMarked(running.mark);
  commands.delete(running);
  return {
    exitCode: code ?? 128 + (endedBy === null ? 0 : constants.signals[endedBy]),
    signal: endedBy ?? undefined,
    stopped,
    stdoutBytes: bytes.stdout,
    stderrBytes: bytes.stderr,
    stdoutEnd: lastLines(tails.stdout),
    stderrEnd: lastLines(tails.stderr),
  };
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

/** The last few lines with something in them, without control characters. */
function lastLines(tail: Buffer): string {
  const lines = tail.toString().split("\n");
  const telling = lines.map((line) => line.replaceAll(/\p{Cc}/gu, " ").trimEnd()).filter((line) => line !== "");
  return telling.slice(-LAST_LINES).join("\n");
}
