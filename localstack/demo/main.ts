import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { styleText } from "node:util";
import { command, WrongUse } from "../../lib/terminal/command.ts";
import { showDuration } from "../../lib/terminal/rows.ts";
import type { Task, TaskWithSteps } from "../../lib/work/core/answers.ts";
import { findKeyFor } from "../parts/keys.ts";
import { freePort } from "../parts/ports.ts";
import { type Broker, clearBroker, findBroker, readQueue } from "../parts/rabbitmq.ts";
import { type Stack, startStack } from "../stack.ts";
import { type Api, call } from "./api.ts";
import { examine } from "./examine.ts";
import { heading, reportTable, showStatus, timeline } from "./print.ts";
import { demoWork, type Piece } from "./work.ts";

const usage = `Usage: npm run demo -- [--against URL] [--queue sqs|rabbitmq]

Starts the local stack on free ports with data of its own, does four pieces of work with it, and leaves nothing running.
  --against URL   use a stack that already runs, such as http://127.0.0.1:3000, with the key of
                  WAYBILL_API_KEY, else that of the data folder here
  --queue NAME    what the agents take their work from: sqs, or a RabbitMQ that runs (RABBITMQ_URL)`;

const REPORTS = ["tasks-by-status", "agent-metrics"];
const FINAL = new Set(["completed", "failed", "rejected", "cancelled"]);

/** The whole demonstration must be over by then. */
const LIMIT_MS = 110_000;

const started = performance.now();
const stopping = new AbortController();
let stoppedBy: NodeJS.Signals | undefined;

function tell(name: string, text: string): void {
  const clock = `${((performance.now() - started) / 1000).toFixed(1)} s`.padStart(7);
  console.log(`${styleText("dim", clock)}  ${name.padEnd(8)} ${text}`);
}

/** Submits a piece of work, approves it where that is wanted, and tells what happens until it is final. */
async function follow(api: Api, { name, work, approval }: Piece): Promise<TaskWithSteps> {
  const { task_id, status, to_agent } = await call<Task>(api, "/work", work);
  tell(name, `submitted to agent ${to_agent}, ${showStatus(status)}  ${styleText("dim", work.request_text)}`);
  if (approval !== undefined) {
    await sleep(300);
    const { status: after, approved_by } = await call<Task>(api, `/work/${task_id}/approve`, approval);
    tell(name, `${showStatus(after)} by ${approved_by}: "${approval.reason}"`);
  }
  let last = "approved";
  const told = new Set<number>();
  for (;;) {
    stopping.signal.throwIfAborted();
    const task = await call<TaskWithSteps>(api, `/work/${task_id}`);
    for (const { step_number, action } of task.steps.filter((step) => !told.has(step.step_number))) {
      told.add(step_number);
      tell(name, styleText("dim", `step ${step_number}: ${action}`));
    }
    const reason = task.error_message === null ? "" : styleText("dim", `  ${task.error_message.replaceAll("\n", " ")}`);
    if (task.status !== last) tell(name, showStatus(task.status) + reason);
    last = task.status;
    if (FINAL.has(task.status)) return task;
    await sleep(60);
  }
}

async function demonstrate(api: Api): Promise<void> {
  console.log(heading("Four pieces of work, as they happen"));
  const pieces = demoWork();
  const tasks = await Promise.all(pieces.map(async (piece) => ({ piece, task: await follow(api, piece) })));

  console.log(heading("What happened to each"));
  const faults: string[] = [];
  for (const { piece, task } of tasks) {
    const { whole, found, fault } = await examine(piece, task, api);
    console.log(`\n${timeline(piece.name, whole)}`);
    console.log(fault === undefined ? `  ${styleText("green", "✓")} ${found}` : `  ${styleText("red", "✗")} ${fault}`);
    if (fault !== undefined) faults.push(`${piece.name}: ${fault}`);
  }

  for (const name of REPORTS) {
    console.log(heading(`Report ${name}`) + styleText("dim", `  GET /reports/${name}, times in UTC`));
    const { rows } = await call<{ rows: Record<string, unknown>[] }>(api, `/reports/${name}`);
    console.log(reportTable(rows));
    if (rows.length === 0) faults.push(`the report ${name} is empty`);
  }
  if (faults.length > 0) throw new Error(`Not as it should be:\n  ${faults.join("\n  ")}`);
}

/** The demonstration over a stack of its own; answers the exit code. */
async function onOwnStack(rabbitmq: boolean): Promise<number> {
  // Services of the one who starts it are none of the demonstration's.
  for (const name of Object.keys(process.env)) {
    if (/^(DATABASE_|AWS_|AGENT_|WAYBILL_|LEASE_|PICKUP_|OUTPUT_|APPROVAL_REQUIRED$|.*_QUEUE_URL$)/.test(name))
      delete process.env[name];
  }
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-demo-"));
  console.log(styleText("dim", "Starting Postgres, SQS, the functions and the agents …"));
  let stack: Stack | undefined;
  let broker: Broker | undefined;
  try {
    // Under names of its own: a stack that uses the same broker sees nothing of it.
    if (rabbitmq) broker = { ...(await findBroker(dataDir)), prefix: `demo${process.pid}.` };
    stack = await startStack({ port: await freePort(), dataDir, agents: true, broker, signal: stopping.signal });
    tell("stack", `serves ${styleText("bold", stack.url)}`);
    await Promise.race([demonstrate(stack), stack.failed.then((error) => Promise.reject(error))]);
    await stack.stop();
    if (broker !== undefined) await clearBroker(broker);
    const left = await stack.left();
    if (left.length > 0) throw new Error(`Left behind: ${left.join(", ")}`);
  } catch (error) {
    await stack?.stop();
    if (broker !== undefined) await clearBroker(broker).catch(() => {});
    if (stoppedBy !== undefined) {
      rmSync(dataDir, { recursive: true, force: true });
      console.error(`\nStopped by ${stoppedBy}. Nothing is left behind.`);
      return 1;
    }
    console.error(`\n${styleText("red", "✗")} ${(error as Error).message}\n  The logs are in ${join(dataDir, "logs")}`);
    return 1;
  }
  rmSync(dataDir, { recursive: true, force: true });
  const took = showDuration(performance.now() - started);
  console.log(
    `\n${styleText("green", "✓")} Everything as it should be. Nothing is left running. ${styleText("dim", took)}`,
  );
  console.log(styleText("dim", "\nStart a stack that stays: npm start"));
  return 0;
}

async function onRunningStack(url: string): Promise<number> {
  try {
    // Without one the API says what to do.
    const { key } = findKeyFor(url) ?? { key: "none" };
    await demonstrate({ url: url.replace(/\/+$/, ""), key });
    console.log(
      `\n${styleText("green", "✓")} Everything as it should be. ${styleText("dim", showDuration(performance.now() - started))}`,
    );
    return 0;
  } catch (error) {
    const { message, cause } = error as Error;
    const hint = message === "fetch failed" ? `${url} does not answer. Start a stack: npm start` : message;
    console.error(
      `\n${styleText("red", "✗")} ${hint}${cause === undefined ? "" : styleText("dim", ` (${(cause as Error).message})`)}`,
    );
    return 1;
  }
}

process.exit(
  await command({
    usage,
    options: { against: { type: "string" }, queue: { type: "string", default: "sqs" } },
    run: async ({ values: { against, queue } }) => {
      const rabbitmq = readQueue(queue);
      if (against !== undefined && !/^https?:$/.test(URL.parse(against)?.protocol ?? ""))
        throw new WrongUse(`${JSON.stringify(against)} is no HTTP URL`);
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
        process.on(signal, () => {
          stoppedBy = signal;
          stopping.abort(new Error(`Stopped by ${signal}.`));
        });
      }
      setTimeout(() => stopping.abort(new Error(`It took longer than ${LIMIT_MS / 1000} s.`)), LIMIT_MS).unref();
      return await (against === undefined ? onOwnStack(rabbitmq) : onRunningStack(against));
    },
  }),
);
