import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { apiOf } from "../../bin/deploy/api.ts";
import { must } from "../must.ts";
import { type Somebody, withSomebody } from "./somebody.ts";
import type { Trial } from "./trial.ts";
import type { World } from "./world.ts";

/** What each policy of a stage lets somebody do, and what not. */
export const rightsTrials: Trial[] = [
  {
    name: "agent-policy",
    says: "the agent `code` takes work and answers with nothing but its own policy",
    run: async (world) =>
      await withSomebody(world, "CodeAgentPolicyArn", async ({ keys }) => {
        const output = await workThrough(world, keys);
        must(output === "hello\n", `The output was ${JSON.stringify(output)}.`);
        return "code.run echo hello: completed";
      }),
  },
  {
    name: "reader-policy",
    says: "a reader reads, and submits and decides nothing",
    run: async (world) => {
      const seen = await statuses(world, "ReaderPolicyArn", [
        ["GET", "/work"],
        ["POST", "/work"],
        ["POST", "/work/01900000-0000-7000-8000-000000000000/approve"],
        ["PUT", "/agents/x"],
      ]);
      must(seen.join() === "200,403,403,403", `The answers were ${seen.join()}.`);
      return seen.join(", ");
    },
  },
  {
    name: "submitter-policy",
    says: "a submitter submits and reads, and approves nothing",
    run: async (world) => {
      const seen = await statuses(world, "SubmitterPolicyArn", [
        ["GET", "/work"],
        ["POST", "/work"],
        ["POST", "/work/01900000-0000-7000-8000-000000000000/approve"],
      ]);
      // An empty body is refused by the function, not at the door.
      must(seen.join() === "200,400,403", `The answers were ${seen.join()}.`);
      return seen.join(", ");
    },
  },
  {
    name: "approver-policy",
    says: "an approver decides, and manages no agents",
    run: async (world) => {
      const seen = await statuses(world, "ApproverPolicyArn", [
        ["POST", "/work/01900000-0000-7000-8000-000000000000/approve"],
        ["PUT", "/agents/x"],
      ]);
      // An empty body is refused by the function, not at the door.
      must(seen.join() === "400,403", `The answers were ${seen.join()}.`);
      return seen.join(", ");
    },
  },
];

async function statuses(world: World, output: string, calls: [string, string][]): Promise<number[]> {
  return await withSomebody(world, output, async ({ keys }) => {
    const api = await as(keys, world);
    const seen: number[] = [];
    for (const [method, path] of calls) seen.push((await api(method, path, method === "GET" ? undefined : {})).status);
    return seen;
  });
}

/** The API, called as somebody else than whoever deploys. */
async function as(keys: Somebody["keys"], world: World) {
  const stack = await world.stack();
  const credentials = {
    accessKeyId: keys["AWS_ACCESS_KEY_ID"] ?? "",
    secretAccessKey: keys["AWS_SECRET_ACCESS_KEY"] ?? "",
  };
  return apiOf(world.target(), stack, credentials);
}

async function workThrough(world: World, keys: Somebody["keys"]): Promise<string> {
  const { outputs } = await world.stack();
  const workspace = join(world.folder, "workspace");
  mkdirSync(workspace, { recursive: true });
  const agent = spawn(process.execPath, ["agents/code.ts"], {
    stdio: "ignore",
    env: {
      PATH: process.env["PATH"],
      ...keys,
      AWS_REGION: world.region,
      AWS_ENDPOINT_URL_SQS: process.env["AWS_ENDPOINT_URL"],
      AGENT_QUEUE_URL: outputs["CodeQueueUrl"],
      RESULTS_QUEUE_URL: outputs["ResultsQueueUrl"],
      WAYBILL_CODE_FOLDERS: workspace,
      WAYBILL_AGENT_DATA: join(world.folder, "journal"),
    },
  });
  const ended = once(agent, "close");
  try {
    const api = await world.api();
    const body = {
      request_text: "say hello",
      work_type: "code.run",
      to_agent: "code",
      parameters: { command: "echo", args: ["hello"] },
    };
    const { json } = await api("POST", "/work", body);
    for (let left = 120; left > 0; left--) {
      const { json: now } = await api("GET", `/work/${json.task_id}`);
      if (now.status === "completed") return (await api("GET", `/work/${json.task_id}/output`)).text;
      must(now.status !== "failed", `It failed: ${now.error_message}`);
      await sleep(500);
    }
    throw new Error("It had not ended after a minute.");
  } finally {
    agent.kill("SIGTERM");
    await ended;
  }
}
