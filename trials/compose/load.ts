import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import { type Api, ended, submit } from "./client.ts";
import type { Stack } from "./stack.ts";

/** How much is submitted, and how fast. */
export type Amount = { pieces: number; aSecond: number };

/** What became of a load. */
export type Outcome = {
  accepted: number;
  completed: number;
  /** Those that were accepted and have not completed, with what they are instead. */
  otherwise: string[];
  /** Those whose command ran more than once, and not at all. */
  repeated: string[];
  missing: string[];
  /** From the first submission to the last end. */
  seconds: number;
};

/** Longest that the last piece may take after it was accepted. */
const LIMIT_MS = 300_000;

/**
 * Submits pieces of work at a steady rate, each under a key of its own and again until it is accepted, and waits for the end of all.
 * Each appends its name to a file in the agent's workspace, by which its executions are counted.
 */
export async function load(stack: Stack, { pieces, aSecond }: Amount): Promise<Outcome> {
  const round = crypto.randomUUID();
  const file = `done-${round}`;
  const began = performance.now();
  const names = Array.from({ length: pieces }, (_, i) => `${round}-${i}`);
  // What is asked for at once is bounded, so that a slow answer is not the harness's own doing.
  const looking = pLimit(8);
  const outcomes = await Promise.all(
    names.map(async (name, i) => {
      await sleep((i * 1000) / aSecond);
      const { task_id } = await submit(stack.api, name, piece(name, file));
      const until = performance.now() + LIMIT_MS;
      return await looking(async () => await endOf(stack.api, name, task_id, until - performance.now()));
    }),
  );
  const seconds = Math.round((performance.now() - began) / 1000);
  const times = await executions(stack, file);
  const otherwise = outcomes.filter((outcome) => outcome !== undefined);
  return {
    accepted: pieces,
    completed: pieces - otherwise.length,
    otherwise,
    repeated: names.filter((name) => (times.get(name) ?? 0) > 1),
    missing: names.filter((name) => !times.has(name)),
    seconds,
  };
}

function piece(name: string, file: string): object {
  const script = `require("node:fs").appendFileSync("${file}", "${name}\\n")`;
  return {
    request_text: `Piece ${name}`,
    work_type: "code.run",
    parameters: { command: "node", args: ["-e", script] },
  };
}

/** Undefined where it completed. */
async function endOf(api: Api, name: string, taskId: string, limitMs: number): Promise<string | undefined> {
  try {
    const { status, error_message } = await ended(api, taskId, limitMs);
    return status === "completed" ? undefined : `${name} ${status}: ${error_message}`;
  } catch (error) {
    return (error as Error).message;
  }
}

async function executions(stack: Stack, file: string): Promise<Map<string, number>> {
  const text = await stack.exec("agent-code", "sh", "-c", `cat /workspace/${file} || true`);
  const times = new Map<string, number>();
  for (const name of text.split("\n")) times.set(name, (times.get(name) ?? 0) + 1);
  return times;
}
