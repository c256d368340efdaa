// From the first start to what an owner does later: another .env, down and up, a password, an agent of one's own.
import { setTimeout as sleep } from "node:timers/promises";
import { DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { ROOT } from "../../localstack/stack.ts";
import { must } from "../must.ts";
import { call, runCommand, submit } from "./client.ts";
import { allWell, memory } from "./containers.ts";
import { run } from "./engine.ts";
import type { Stack, Variant } from "./stack.ts";
import type { Trial } from "./trial.ts";

const start = (variant: Variant, name: string, says: string): Trial => ({
  name,
  says,
  variant,
  run: async (stack) => {
    const began = performance.now();
    await stack.up(variant);
    const fault = await allWell(stack);
    must(fault === undefined, `${fault}`);
    return `${Math.round((performance.now() - began) / 1000)} s; ${await memory(stack)}`;
  },
});

const demo: Trial = {
  name: "demo",
  says: "the demo of README.md passes against the containers",
  variant: "sqs",
  run: async (stack) => {
    const args = ["localstack/demo/main.ts", "--against", stack.url];
    const env = { ...process.env, WAYBILL_API_KEY: stack.api.key };
    const { code, out } = await run(process.execPath, args, { cwd: ROOT, env });
    must(code === 0, out.trimEnd().split("\n").slice(-8).join("\n"));
    return "its four pieces are as they should be";
  },
};

const CHANGED = { WAYBILL_CODE_COMMANDS: "echo", LEASE_SECONDS: "77", APPROVAL_REQUIRED: "code.inspect" };

const settings: Trial = {
  name: "settings",
  says: "a changed .env takes effect with the next `up`",
  variant: "sqs",
  run: async (stack) => {
    stack.set(CHANGED);
    try {
      await stack.up();
      const refused = await runCommand(stack.api, "node", ["-e", "0"]);
      must(/not on the list/.test(refused.error_message ?? ""), `node ran: ${refused.status}`);
      const work = { request_text: "Look", work_type: "code.inspect", parameters: {} };
      const { status } = await submit(stack.api, crypto.randomUUID(), work);
      must(status === "pending", `code.inspect is ${status}, and does not wait for a person`);
      const lease = (await stack.exec("functions", "printenv", "LEASE_SECONDS")).trim();
      must(lease === "77", `the functions have LEASE_SECONDS=${lease}`);
    } finally {
      stack.set(Object.fromEntries(Object.keys(CHANGED).map((name) => [name, undefined])));
    }
    await stack.up();
    const { status, error_message } = await runCommand(stack.api, "node", ["-e", "0"]);
    must(status === "completed", `with the defaults again node is ${status}: ${error_message}`);
    return "three settings there, and gone again";
  },
};

const kept: Trial = {
  name: "down-up",
  says: "`down` and `up` keep the work, and new work is done",
  variant: "sqs",
  run: async (stack) => {
    const before = await runCommand(stack.api, "echo", ["before"]);
    await stack.compose("down");
    await stack.up();
    const { body } = await call<{ status: string }>(stack.api, `/work/${before.task_id}`);
    must(body.status === "completed", `the work of before is ${body.status}`);
    const after = await runCommand(stack.api, "echo", ["after"]);
    must(after.status === "completed", `new work is ${after.status}: ${after.error_message}`);
    return "the work of before is there, and new work completed";
  },
};

const password: Trial = {
  name: "password",
  says: "a changed POSTGRES_PASSWORD on a kept volume is refused with what to do, and that does it",
  variant: "sqs",
  run: async (stack) => {
    stack.set({ POSTGRES_PASSWORD: "another" });
    try {
      const { code } = await stack.try("up", "--wait", "--wait-timeout", "300");
      must(code !== 0, "it came up with a password that the database does not know");
      const said = await stack.compose("logs", "migrate");
      must(/alter role/i.test(said), `migrate does not say what to do: ${said.trimEnd().split("\n").at(-1)}`);
      await alterPassword(stack, "another");
      await stack.up();
      const { status } = await runCommand(stack.api, "echo", ["hello"]);
      must(status === "completed", `work with the new password is ${status}`);
    } finally {
      await alterPassword(stack, "waybill");
      stack.set({ POSTGRES_PASSWORD: undefined });
    }
    await stack.up();
    return "refused, mended, done";
  },
};

async function alterPassword(stack: Stack, to: string): Promise<void> {
  await stack.exec("postgres", "psql", "--username=waybill", "-c", `alter role waybill password '${to}'`);
}

/** An agent of one's own, which this trial plays. */
const OWN = "trial-own";
const QUEUE_MS = 240_000;

const ownQueue: Trial = {
  name: "own-queue",
  says: "the queue of an agent that was PUT comes back after LocalStack has lost it, with its work",
  variant: "sqs",
  run: async (stack) => {
    const definition = `name: ${OWN}\nversion: 1.0.0\ndescription: Plays a part.\ncapabilities: [play]\nwork_types: [own.*]\n`;
    const headers = { "content-type": "application/yaml" };
    const { status } = await call(stack.api, `/agents/${OWN}`, { method: "PUT", body: definition, headers });
    must(status < 300, `PUT /agents/${OWN} answered ${status}`);
    await call(stack.api, `/agents/${OWN}/presence`, {
      method: "POST",
      body: "{}",
      headers: { "content-type": "application/json" },
    });
    await stack.kill("localstack");
    const { task_id } = await submit(stack.api, crypto.randomUUID(), {
      request_text: "Play",
      work_type: "own.play",
      to_agent: OWN,
    });
    const began = performance.now();
    await untilAsked(stack, task_id);
    return `its request came ${Math.round((performance.now() - began) / 1000)} s after it was submitted`;
  },
};

/** Waits for the request of a piece of work in the agent's queue, and takes it out. */
async function untilAsked(stack: Stack, taskId: string): Promise<void> {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  const sqs = new SQSClient({ region: "eu-central-1", endpoint: stack.sqsUrl, credentials });
  const QueueUrl = `${stack.sqsUrl}/000000000000/waybill-agent-${OWN}`;
  const until = performance.now() + QUEUE_MS;
  let reason = "nothing came";
  while (performance.now() < until) {
    try {
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5 }));
      for (const { Body = "", ReceiptHandle } of Messages) {
        await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
        if (Body.includes(taskId)) return;
      }
    } catch (error) {
      reason = (error as Error).message;
      await sleep(1000);
    }
  }
  throw new Error(`the request is not in its queue after ${QUEUE_MS / 1000} s: ${reason}`);
}

const git: Trial = {
  name: "git",
  says: "the agent `code` has what it offers: git and npm",
  variant: "sqs",
  run: async (stack) => {
    const ran = await Promise.all(
      ["git", "npm"].map(async (command) => await runCommand(stack.api, command, ["--version"])),
    );
    for (const { status, error_message } of ran) must(status === "completed", `${error_message}`);
    return "both ran";
  },
};

const overAmqp: Trial = {
  name: "echo-amqp",
  says: "an agent does work over RabbitMQ",
  variant: "rabbitmq",
  run: async (stack) => {
    const { status, error_message } = await runCommand(stack.api, "echo", ["hello"]);
    must(status === "completed", `it is ${status}: ${error_message}`);
    return "completed";
  },
};

export const firstTrials: Trial[] = [
  start("sqs", "up", "`docker compose up --wait` comes up on empty volumes"),
  demo,
  git,
];
export const laterTrials: Trial[] = [settings, kept, ownQueue, password];
export const rabbitMqTrials: Trial[] = [
  start("rabbitmq", "up-amqp", "the RabbitMQ variant comes up over the volumes of the other"),
  overAmqp,
];
