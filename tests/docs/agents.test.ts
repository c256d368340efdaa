import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readAgentEnv } from "../../lib/agent-kit/transports/env.ts";
import { ask, listen, spawnAgent, testFolder, until } from "../support/agents/agent.ts";
import { blocksOf, textOf } from "./pages.ts";

const page = textOf("docs/agents.md");
const heard = listen();

// Beside the code, for there it finds its packages.
mkdirSync(".waybill", { recursive: true });
const folder = mkdtempSync(join(".waybill", "docs-"));
const server = createServer((_request, response) => response.end("hello"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  server.close();
});

/** The first agent of a page, as a script that can be started. */
function agentOf(file: string): string {
  const example = blocksOf(file).find(({ language }) => language === "ts")?.text ?? "";
  const script = join(folder, `${file.replaceAll(/\W/g, "-")}.ts`);
  writeFileSync(script, example.replaceAll("../lib/", "../../lib/"));
  return script;
}

test("the agent of README.md is a whole one", async () => {
  const agent = await spawnAgent(agentOf("README.md"), "research", { WAYBILL_AGENT_DATA: testFolder() });

  const asked = await ask("research", "research.greet", { name: "ada" });

  expect(await heard.result(asked)).toMatchObject({ status: "completed", metrics: { greeted: 1 } });
  await until("the output is there", () => heard.output(asked).toString() === "hello ada\n");
  await agent.crash();
});

test("the example of docs/agents.md is a whole agent", async () => {
  const script = agentOf("docs/agents.md");
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const agent = await spawnAgent(script, "research", { WAYBILL_AGENT_DATA: testFolder() });

  const asked = await ask("research", "research.fetch", { urls: [url, url] });
  const tooMany = await ask("research", "research.fetch", { urls: Array.from({ length: 11 }, () => url) });

  expect(await heard.result(asked)).toMatchObject({ status: "completed", metrics: { pages: 2, output_bytes: 10 } });
  await until("the output is there", () => heard.output(asked).toString() === "hellohello");
  expect((await heard.result(tooMany)).error_message).toBe("5005 refused: more than 10 pages at once; split the work");
  await agent.crash();
});

test("the defaults of the table are those of the code", () => {
  const queues = { AGENT_QUEUE_URL: "http://q/a", RESULTS_QUEUE_URL: "http://q/r" };
  const settings = readAgentEnv(undefined, queues);
  const amqp = readAgentEnv(undefined, { AGENT_TRANSPORT: "amqp", RABBITMQ_URL: "amqp://b" });

  const told = (name: string) => new RegExp(`\\| \`${name}\` \\| \`?([^\`|]+?)\`?(?:,[^|]*)? \\|`).exec(page)?.[1];

  expect({
    data: told("WAYBILL_AGENT_DATA"),
    concurrency: told("AGENT_CONCURRENCY"),
    visibility: told("AGENT_VISIBILITY_SECONDS"),
    poll: told("AGENT_POLL_SECONDS"),
    grace: told("AGENT_GRACE_SECONDS"),
    transport: told("AGENT_TRANSPORT"),
    ack: told("AMQP_ACK_SECONDS"),
  }).toEqual({
    data: settings.dataDir,
    concurrency: String(settings.concurrency),
    visibility: String(settings.visibilitySeconds),
    poll: String(settings.pollSeconds),
    grace: String(settings.graceSeconds),
    transport: settings.queue.transport,
    ack: String(amqp.queue.transport === "amqp" && amqp.queue.ackSeconds),
  });
});
