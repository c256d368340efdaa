import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll } from "vitest";
import type { Message, OutputChunk, WorkRequest, WorkResult, WorkStatus } from "../../../lib/protocol/messages.ts";
import { sqsQueues, type TestQueues } from "../queues/sqs.ts";
import { identityOf, SIGN } from "./keys.ts";

/** A folder of this test file alone, removed at its end. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "waybill-agent-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The file in which the agent of tests/agent-kit/fixtures leaves a line when it starts a piece of work. */
export function effectsIn(folder: string): { file: string; done: (name: string) => number } {
  const file = join(folder, "effects");
  writeFileSync(file, "");
  const lines = () => readFileSync(file, "utf8").split("\n");
  return { file, done: (name) => lines().filter((line) => line === name).length };
}

/** A real agent process; whatever happens, it does not outlive its test file. */
export type TestAgent = {
  child: ChildProcess;
  stderr: () => string;
  exit: Promise<{ code: number | null; signal: string | null }>;
  stop: () => Promise<{ code: number | null; signal: string | null }>;
  crash: () => Promise<void>;
};

const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
});

/** Polls until `look` answers something, and answers that. */
export async function until<T>(what: string, look: () => T | undefined | false | Promise<T | undefined | false>) {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await sleep(15)) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
  }
  throw new Error(`Waited 20 s in vain until ${what}.`);
}

export type Asked = { agent: string; task_id: string; request_id: string; trace_id: string; message: object };

type Ask = Partial<WorkRequest> & { request_id?: string; x_custom_fields?: object; to_agent?: string };

/** Starts an agent and answers when it says that it has started, or has ended. */
export async function spawnProgram(
  [command, ...args]: [string, ...string[]],
  env: NodeJS.ProcessEnv,
  started = '"agent started"',
): Promise<TestAgent> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  children.add(child);
  let stderr = "";
  child.stderr.on("data", (piece: Buffer) => {
    stderr += piece.toString();
  });
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once("close", (code, signal) => {
      children.delete(child);
      resolve({ code, signal });
    });
  });
  await until("the agent has started", () => stderr.includes(started) || child.exitCode !== null);
  return {
    child,
    stderr: () => stderr,
    exit,
    stop: async () => {
      child.kill("SIGTERM");
      return await exit;
    },
    crash: async () => {
      child.kill("SIGKILL");
      await exit;
    },
  };
}

const PROBE = "tests/agent-kit/fixtures/probe.ts";

/** What tests do with agents over these queues. */
export function over(queues: TestQueues) {
  /** Starts an agent script, which finds its queues, at `address` where that is given. */
  const spawnAgent = async (script: string, agent: string, env: NodeJS.ProcessEnv, address?: string) =>
    await spawnProgram([process.execPath, script], {
      LOG_LEVEL: "info",
      AGENT_VISIBILITY_SECONDS: "2",
      AGENT_POLL_SECONDS: "1",
      ...identityOf(agent),
      ...queues.env(agent, address),
      ...env,
    });

  /** Agents of tests/agent-kit/fixtures, each with a journal of its own in a folder of the test file, as on machines of their own. */
  const probes = () => {
    const folder = testFolder();
    const { file: EFFECTS, done } = effectsIn(folder);
    const dataOf = (journal: string) => join(folder, "journals", journal);
    const start = async (journal: string, env: NodeJS.ProcessEnv = {}, address?: string) =>
      await spawnAgent(PROBE, "research", { EFFECTS, WAYBILL_AGENT_DATA: dataOf(journal), ...env }, address);
    return { folder, done, dataOf, start };
  };

  /** Puts a work_request on an agent's queue, as dispatch does. */
  const ask = async (agent: string, work_type: string, parameters: object, more: Ask = {}): Promise<Asked> => {
    const { request_id = randomUUID(), to_agent = agent, x_custom_fields, ...payload } = more;
    const work: WorkRequest = {
      task_id: randomUUID(),
      attempt: 1,
      work_type,
      request_text: "please",
      parameters: parameters as WorkRequest["parameters"],
      hints: {},
      lease_seconds: 60,
      timeout_seconds: 60,
      ...payload,
    };
    const message = SIGN({
      ...envelope(to_agent, request_id),
      type: "work_request",
      payload: work,
      ...(x_custom_fields === undefined ? {} : { x_custom_fields }),
    });
    await queues.put(agent, JSON.stringify(message));
    return { agent, task_id: work.task_id, request_id, trace_id: message.trace_id, message };
  };

  /** Tells the agent something about work, as the control plane does: to one start of it where that is named. */
  const tell = async (
    { agent, task_id, request_id }: Asked,
    status: "cancelled" | "executing",
    attempt: number,
    start_id?: string,
  ): Promise<void> => {
    const payload = { task_id, attempt, status, ...(start_id === undefined ? {} : { start_id }) };
    const message = { ...envelope(agent, request_id), type: "work_status", payload };
    await queues.put(agent, JSON.stringify(SIGN(message)));
  };

  /** Tells the agent that the work is cancelled. */
  const cancel = async (asked: Asked, attempt = 1, start_id?: string): Promise<void> =>
    await tell(asked, "cancelled", attempt, start_id);

  /** Asks the agent what has become of the work. */
  const question = async (asked: Asked, attempt = 1, start_id?: string): Promise<void> =>
    await tell(asked, "executing", attempt, start_id);

  /** Listens to the results queue while the tests of this block run, and forgets nothing. */
  const listen = () => {
    const heard: Message[] = [];
    const stopped = new AbortController();
    let listening: Promise<void>;
    beforeAll(() => {
      listening = queues.hear((body) => heard.push(JSON.parse(body) as Message), stopped.signal);
    });
    afterAll(async () => {
      stopped.abort();
      await listening;
    });
    const of = ({ request_id }: Asked) => heard.filter((message) => message.request_id === request_id);
    const statuses = (asked: Asked) => of(asked).filter((message) => message.type === "work_status");
    const steps = (asked: Asked, attempt = 1) =>
      statuses(asked)
        .filter(({ payload }) => payload.attempt === attempt)
        .flatMap(({ payload }) => payload.step ?? []);
    const results = (asked: Asked) => of(asked).filter((message) => message.type === "work_result");
    /** What was told of it so, of one attempt. */
    const told = (asked: Asked, status: WorkStatus["status"], attempt = 1) =>
      statuses(asked).filter(({ payload }) => payload.status === status && payload.attempt === attempt);
    return {
      heard,
      of,
      statuses,
      told,
      steps,
      results,
      result: async (asked: Asked, attempt = 1): Promise<WorkResult> =>
        await until(`attempt ${attempt} has a result`, () => {
          return results(asked).find(({ payload }) => payload.attempt === attempt)?.payload;
        }),
      handedBack: async (asked: Asked, attempt = 1) =>
        await until(`attempt ${attempt} is handed back`, () =>
          statuses(asked).find(({ payload }) => payload.status === "approved" && payload.attempt === attempt),
        ),
      /** The start of which the first message about the work is. */
      start: async (asked: Asked): Promise<string> =>
        await until("its start is known", () => {
          const [first] = of(asked);
          return first !== undefined && "start_id" in first.payload && first.payload.start_id;
        }),
      cancelled: async (asked: Asked, attempt = 1) =>
        await until(`attempt ${attempt} is confirmed as cancelled`, () => told(asked, "cancelled", attempt)[0]),
      /** The output of an attempt, as GET /work/{id}/output joins it. */
      output: (asked: Asked, attempt = 1): Buffer => {
        const chunks = new Map<string, OutputChunk & { step: number }>();
        for (const { step_number: step, output } of steps(asked, attempt)) {
          if (output !== undefined) chunks.set(`${step}/${output.chunk_number}`, { step, ...output });
        }
        const inOrder = [...chunks.values()].toSorted((a, b) => a.step - b.step || a.chunk_number - b.chunk_number);
        return Buffer.concat(inOrder.map(({ encoding, text }) => Buffer.from(text, encoding)));
      },
    };
  };

  return { spawnAgent, probes, ask, cancel, question, listen };
}

/** The same over SQS. */
export const { spawnAgent, probes, ask, cancel, listen } = over(sqsQueues());

export function envelope(agent: string, request_id: string = randomUUID()) {
  return {
    protocol_version: "1.0",
    message_id: randomUUID(),
    from_agent: "orchestrator",
    to_agent: agent,
    timestamp: new Date().toISOString(),
    trace_id: randomUUID(),
    request_id,
  };
}
