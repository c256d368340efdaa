import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DeleteQueueCommand } from "@aws-sdk/client-sqs";
import * as z from "zod";
import { type Agent, startAgent } from "../../lib/agent-kit/agent.ts";
import { defineWork } from "../../lib/agent-kit/define-work.ts";
import { readAgentEnv } from "../../lib/agent-kit/transports/env.ts";
import { createQueue, findQueue } from "../../lib/runtime/aws/create-queue.ts";
import { sqs } from "../../lib/runtime/aws/sqs.ts";
import { Failed } from "../../lib/terminal/command.ts";
import { queueNameOf, specOf } from "../../lib/wiring/new-queue.ts";
import { type Api, apiOf } from "./api.ts";
import { askForKey, takesKeys } from "./keys.ts";
import { unlessEnded } from "./signals.ts";
import type { Stack } from "./stack.ts";
import { logsOf, ours, type Target, valueOfTarget } from "./target.ts";

const AGENT = "smoke";
const WORK_TYPE = "waybill.smoke";
const SAYING = "Waybill is up.";
/** Two sweeps, beside the cold starts of all the functions that it takes. */
const PATIENCE_MS = 150_000;
const FIND_MS = 10_000;
/** As a shell has it: 128 and the signal's number. */
const EXIT: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** The queues of the agent that the smoke test runs, its dead letter queue last; they stay between deploys, and go with the stage. */
export function smokeQueuesOf(target: Target): [string, string] {
  const name = queueNameOf(valueOfTarget(target, "prefix"), AGENT);
  return [name, specOf(name).deadLetters.name];
}

/** Takes them away, where they are there. */
export async function deleteSmokeQueues(target: Target): Promise<void> {
  for (const name of smokeQueuesOf(target)) {
    const QueueUrl = await findQueue(sqs, name, FIND_MS);
    if (QueueUrl !== undefined) await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  }
}

/**
 * Sees one piece of work through a deployed stage, whose stack this is: health, an agent of its own in this process, submission, approval
 * where the stage asks for it, dispatch, result, output. The agent is in the registry, and the key good, meanwhile only, also where somebody ends this
 * process. Throws Failed with the step that failed.
 */
export async function smoke(target: Target, stack: Stack): Promise<void> {
  const given = takesKeys(target) ? await askForKey(target, "smoke") : null;
  const api = apiOf(target, stack, { key: given?.key });
  const folder = mkdtempSync(join(tmpdir(), "waybill-smoke-"));
  let agent: Agent | undefined;
  let agentKey: string | undefined;
  const leave = async () => {
    agent?.stop();
    await agent?.stopped.catch(() => {});
    await api("DELETE", `/agents/${AGENT}`).catch(() => {});
    for (const key of [agentKey, given?.key_id])
      if (key !== undefined) await api("DELETE", `/keys/${key}`).catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  };
  await unlessEnded(
    (signal) => void leave().finally(() => process.exit(EXIT[signal])),
    async () => {
      try {
        await step(target, "GET /health", async () => await healthy(api));
        agent = await step(target, "an agent", async () => {
          const { key, key_id } = (await need(api, "POST", "/keys", keyOfSmoke())).json;
          agentKey = key_id;
          return await startSmokeAgent(target, stack, api, { folder, key });
        });
        const task = await step(target, "POST /work", async () => await submitSmoke(api));
        await step(target, `work ${task}`, async () => await completed(api, task));
        await step(target, `GET /work/${task}/output`, async () => {
          const { text } = await api("GET", `/work/${task}/output`);
          if (text !== SAYING) throw new Error(`it was ${JSON.stringify(text.slice(0, 200))}`);
        });
      } finally {
        await leave();
      }
    },
  );
}

async function step<T>(target: Target, name: string, run: () => Promise<T>): Promise<T> {
  const from = performance.now();
  try {
    const done = await run();
    console.log(`  ok  ${name}  ${Math.round(performance.now() - from)} ms`);
    return done;
  } catch (cause) {
    const { message } = cause as Error;
    throw new Failed(
      `${name}: ${message}\nThe functions' logs: ${logsOf(target, "NAME")}\nOnce it is mended: ${ours(target, "smoke")}`,
      { cause },
    );
  }
}

/** What answers, else an error with what was answered. */
async function need(api: Api, method: string, path: string, body?: unknown) {
  const answer = await api(method, path, body);
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw new Error(`${method} ${path} answered ${answer.status}: ${answer.json.detail ?? answer.text.slice(0, 500)}`);
}

async function healthy(api: Api): Promise<void> {
  const { status, json, text } = await api("GET", "/health");
  if (status !== 200) throw new Error(`it answered ${status}: ${text.slice(0, 1_000)}`);
  for (const warning of json.warnings ?? []) console.log(`  !   ${warning}`);
}

/** What is asked for as the key of the agent; one of a smoke test that was cut off is no hindrance. */
function keyOfSmoke(): object {
  return { name: `smoke-agent-${Date.now()}`, kind: "agent", agent: AGENT };
}

type Own = { folder: string; key: string | undefined };

async function startSmokeAgent(target: Target, stack: Stack, api: Api, { folder, key }: Own): Promise<Agent> {
  const [name] = smokeQueuesOf(target);
  const queue = await createQueue(sqs, specOf(name));
  const definition = {
    name: AGENT,
    version: "1.0.0",
    description: "Says that the deployment is up; a process of the deploy command, and there only meanwhile.",
    capabilities: ["smoke-test"],
    work_types: [WORK_TYPE],
    queue: name,
  };
  await need(api, "PUT", `/agents/${AGENT}`, definition);
  await need(api, "POST", `/agents/${AGENT}/presence`, {});
  const say = defineWork(z.object({}), async (_, { step: tell }) => {
    await tell("say it", ({ write }) => write(SAYING));
  });
  const { keys = [] } = (await need(api, "GET", "/.well-known/jwks.json")).json;
  const env = {
    WAYBILL_API_KEY: key,
    CONTROL_PLANE_KEYS: keys.map(({ x }) => x).join(","),
    AGENT_QUEUE_URL: queue,
    RESULTS_QUEUE_URL: stack.outputs["ResultsQueueUrl"] ?? "",
    WAYBILL_AGENT_DATA: folder,
    AGENT_POLL_SECONDS: "1",
  };
  return startAgent({ name: AGENT, work: { [WORK_TYPE]: say } }, readAgentEnv(1, env));
}

/** Submits the one piece of work, approves it where the stage has a person decide, and answers its id. */
export async function submitSmoke(api: Api): Promise<string> {
  const body = { request_text: "Say that Waybill is up.", work_type: WORK_TYPE, to_agent: AGENT, parameters: {} };
  const { json } = await need(api, "POST", "/work", body);
  const task = json.task_id ?? "";
  // The stage has a person approve everything: this is the deployment's own, and whoever deploys is that person.
  if (json.status === "pending") await need(api, "POST", `/work/${task}/approve`, {});
  return task;
}

/** Answers once the work is completed. Throws where it fails, or nobody does it. */
export async function completed(api: Api, task: string): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (let status = ""; ; ) {
    const { json } = await need(api, "GET", `/work/${task}?wait=20`);
    status = json.status ?? "";
    if (status === "completed") return;
    const why = json.error_message ?? json.held_up ?? "nobody has taken it";
    if (status === "failed" || performance.now() > until) throw new Error(`it is ${status}: ${why}`);
    await sleep(500);
  }
}
