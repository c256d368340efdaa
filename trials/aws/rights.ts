import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { apiOf } from "../../bin/deploy/api.ts";
import { completed } from "../../bin/deploy/smoke.ts";
import { must } from "../must.ts";
import { type Somebody, withSomebody } from "./somebody.ts";
import type { Trial } from "./trial.ts";
import type { World } from "./world.ts";

/** Work that there is not. */
const NOBODYS = "01900000-0000-7000-8000-000000000000";

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
  // An empty body is refused by the function (400), not at the door (403).
  policyTrial("viewer", "a viewer reads, and submits and decides nothing", {
    "GET /work": 200,
    "POST /work": 403,
    [`POST /work/${NOBODYS}/approve`]: 403,
    "PUT /agents/x": 403,
  }),
  policyTrial("member", "a member submits and reads, and approves nothing", {
    "GET /work": 200,
    "POST /work": 400,
    [`POST /work/${NOBODYS}/approve`]: 403,
    "GET /keys": 403,
  }),
  policyTrial("admin", "an admin decides, and looks after agents and keys, and says not who is a member", {
    [`POST /work/${NOBODYS}/approve`]: 404,
    [`DELETE /work/${NOBODYS}`]: 404,
    "PUT /agents/x": 400,
    "DELETE /agents/nobody": 404,
    "GET /keys": 200,
    "PUT /members/ada": 403,
    "GET /llm/v1/models": 403,
  }),
  policyTrial("owner", "an owner says who is a member, and calls no models by that", {
    "GET /members": 200,
    "PUT /members/ada": 400,
    "GET /llm/v1/models": 403,
  }),
  policyTrial("llm", "who has the gateway's policy calls LLMs, and sees no work", {
    "GET /llm/v1/models": 200,
    "POST /llm/v1/chat/completions": 400,
    "POST /llm/route": 200,
    "GET /work": 403,
    "GET /agents": 403,
    "PUT /agents/x": 403,
  }),
  policyTrial("code-agent", "an agent registers itself and calls LLMs, is no other agent, and sees no work", {
    "PUT /agents/code": 400,
    "PUT /agents/research": 403,
    "POST /agents/research/presence": 403,
    "GET /llm/v1/models": 200,
    "GET /work": 403,
  }),
];

/** What the API answers somebody who has the policy of this kind of caller alone. */
function policyTrial(caller: string, says: string, expected: Record<string, number>): Trial {
  const output = `${caller.replaceAll(/(?:^|-)./g, (start) => start.slice(-1).toUpperCase())}PolicyArn`;
  return {
    name: `${caller}-policy`,
    says,
    run: async (world) => {
      const seen = await statuses(world, output, Object.keys(expected));
      must(seen.join() === Object.values(expected).join(), `The answers were ${seen.join()}.`);
      return seen.join(", ");
    },
  };
}

async function statuses(world: World, output: string, calls: readonly string[]): Promise<number[]> {
  return await withSomebody(world, output, async ({ keys }) => {
    const api = await as(keys, world);
    const seen: number[] = [];
    for (const call of calls) {
      const [method = "", path = ""] = call.split(" ");
      seen.push((await api(method, path, method.startsWith("P") ? {} : undefined)).status);
    }
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
  return apiOf(world.target(), stack, { as: credentials });
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
    await completed(api, json.task_id ?? "");
    return (await api("GET", `/work/${json.task_id}/output`)).text;
  } finally {
    agent.kill("SIGTERM");
    await ended;
  }
}
