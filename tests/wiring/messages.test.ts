import { expect, test } from "vitest";
import { readDefinition } from "../../lib/registry/definition-file.ts";
import { storeDefinition } from "../../lib/registry/store.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { controlPlane } from "../../lib/wiring/control-plane.ts";
import { noQueues, processEdges } from "../../lib/wiring/edges.ts";
import { readPlaneSettings } from "../../lib/wiring/settings.ts";
import { TEAM } from "../support/database/actor.ts";

const QUEUES = { WORK_QUEUE_URL: "http://sqs/1/work", RESULTS_QUEUE_URL: "http://sqs/1/results", AGENT_QUEUES: "{}" };
const db = connect();

/** An SQS that has lost its queues; `made` are those that were made again. */
function forgetful(env: Record<string, string>) {
  const made: string[] = [];
  const missing = Object.assign(new Error("gone"), { name: "QueueDoesNotExist" });
  const send = async (messages: { id: string; queueUrl: string }[]) => {
    const there = messages.filter(({ queueUrl }) => made.some((name) => queueUrl.endsWith(`/${name}`)));
    return there.length === messages.length ? { sent: there.map(({ id }) => id) } : { sent: [], error: missing };
  };
  const create = async ({ name }: { name: string }) => {
    made.push(name);
    return `http://sqs/1/${name}`;
  };
  const edges = processEdges({ ...noQueues, send, create }, db);
  return { made, plane: controlPlane({ settings: readPlaneSettings({ ...QUEUES, ...env }), edges }) };
}

async function keepAgent(name: string, queueUrl: string): Promise<void> {
  const read = readDefinition(`name: ${name}\nversion: 1.0.0\ncapabilities: [play]\nwork_types: [own.*]\n`);
  if (!read.ok) throw new Error(JSON.stringify(read.faults));
  await db`delete from agent_definitions where agent_name = ${name}`;
  await storeDefinition(db, TEAM, read, {
    allowOlder: false,
    reactivate: false,
    definitionId: crypto.randomUUID(),
    queueUrl,
  });
}

const message = { id: "0198f0a0-0000-7000-8000-000000000001", body: "{}", teamId: TEAM, toAgent: "lost", taskId: "t" };

test("a queue that we had made, and that SQS has lost, is made again with what is sent to it", async () => {
  await keepAgent("lost", "http://sqs/1/waybill-agent-lost");
  const { made, plane } = forgetful({ AGENT_QUEUE_CREATE: "true" });

  expect(await plane.send([message])).toEqual({ sent: [message.id], refused: [] });
  expect(made).toEqual(["waybill-agent-lost"]);
});

test.each([
  ["where nothing may be made", "http://sqs/1/waybill-agent-lost", {}],
  ["of another name", "http://sqs/1/own", { AGENT_QUEUE_CREATE: "true" }],
  [
    "that the deployment names",
    "",
    { AGENT_QUEUE_CREATE: "true", AGENT_QUEUES: '{"lost":"http://sqs/1/waybill-agent-lost"}' },
  ],
])("a queue %s is not made, and what is sent to it is refused", async (_where, url, env) => {
  await keepAgent("lost", url);
  const { made, plane } = forgetful(env);

  const { sent, refused } = await plane.send([message]);

  expect(sent).toEqual([]);
  expect(refused).toEqual([{ id: message.id, reason: expect.stringContaining("does not exist") }]);
  expect(made).toEqual([]);
});
