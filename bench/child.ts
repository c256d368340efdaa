import { fileURLToPath } from "node:url";
import { describeEnding, type Started, start } from "../localstack/processes/program.ts";

/** A program of a benchmark in a process of its own, so that it shares no core with what measures. */
export type Child = Pick<Started, "stop"> & {
  pid: number;
  /** The next thing that it says, in order. Rejects where it has ended. */
  hear: () => Promise<unknown>;
  /** Says something to it and answers what it says next. */
  ask: (message: string) => Promise<unknown>;
};

// What is started is in process groups of its own, which Ctrl-C does not reach: ending by a handler runs what ends them.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

/** Starts a file in this environment and what `env` adds; what it prints goes to stderr. */
export function startChild(file: string | URL, env: NodeJS.ProcessEnv = {}): Child {
  const path = file instanceof URL ? fileURLToPath(file) : file;
  const program = start({
    command: process.execPath,
    args: [path],
    env: { ...process.env, ...env },
    channel: true,
    onLine: (line) => console.error(line),
  });
  const said: unknown[] = [];
  const waiting: ((message: unknown) => void)[] = [];
  program.onMessage((message) => {
    const next = waiting.shift();
    if (next === undefined) said.push(message);
    else next(message);
  });
  const over = program.ended.then((ending) => {
    throw new Error(`${path} ended: ${describeEnding(ending)}`);
  });
  over.catch(() => {});
  const hear = async () =>
    said.length > 0
      ? said.shift()
      : await Promise.race([new Promise<unknown>((resolve) => waiting.push(resolve)), over]);
  return {
    pid: program.pid ?? 0,
    hear,
    ask: async (message) => {
      program.send(message);
      return await hear();
    },
    stop: program.stop,
  };
}
