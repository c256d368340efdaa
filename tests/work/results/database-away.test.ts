import { CreateQueueCommand, GetQueueAttributesCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { findTask } from "../../../lib/work/core/task-row.ts";
import { readOutput } from "../../../lib/work/reading/output.ts";
import { startPoller } from "../../../localstack/functions/sqs-poller.ts";
import { queuesOf } from "../../../localstack/parts/queues.ts";
import { fromAgent, knowAgents } from "../../support/agents/keys.ts";
import { ACTOR } from "../../support/database/actor.ts";
import { worldOf } from "../../support/database/world.ts";
import { put, receive, reply, sqs } from "../../support/http/events.ts";
import { startProxy } from "../../support/http/proxy.ts";

/** record-result with its database behind a proxy, fed by the local poller from a queue as serverless.yml has it. */

const direct = connect();
let proxy: Awaited<ReturnType<typeof startProxy>>;
let handler: (event: unknown) => Promise<unknown>;

beforeAll(async () => {
  proxy = await startProxy(process.env["DATABASE_URL"] ?? "");
  vi.stubEnv("DATABASE_URL", proxy.url);
  ({ handler } = (await import("../../../functions/work/record-result.ts")) as { handler: typeof handler });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await direct.end();
  await proxy.close();
});

async function resultsQueue(): Promise<{ queueUrl: string; deadLetters: string }> {
  const spec = queuesOf().find(({ name }) => name.endsWith("-results"));
  const name = `away-${Date.now()}`;
  const deadLetters = (await sqs.send(new CreateQueueCommand({ QueueName: `${name}-dlq` }))).QueueUrl ?? "";
  const asked = new GetQueueAttributesCommand({ QueueUrl: deadLetters, AttributeNames: ["QueueArn"] });
  const deadLetterTargetArn = (await sqs.send(asked)).Attributes?.["QueueArn"];
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount: spec?.maxReceiveCount });
  const made = new CreateQueueCommand({ QueueName: name, Attributes: { ...spec?.attributes, RedrivePolicy } });
  return { queueUrl: (await sqs.send(made)).QueueUrl ?? "", deadLetters };
}

test.each(["hang up", "swallow"] as const)(
  "what agents said while the database was away (%s) is all recorded when it is back, however often it was delivered",
  async (how) => {
    const world = worldOf(direct);
    const taskId = await world.submit();
    await world.dispatch();
    const request = world.requests()[0] as WorkRequestMessage;
    const piece = (chunk_number: number, text: string) => ({
      status: "executing",
      step: { step_number: 1, action: "say", status: "running", output: { chunk_number, text } },
    });
    const said = [
      reply(request, "work_status", piece(0, "one ")),
      reply(request, "work_status", piece(1, "two ")),
      reply(request, "work_status", piece(2, "three")),
      reply(request, "work_result", { status: "completed" }),
    ];
    const { queueUrl, deadLetters } = await resultsQueue();
    await knowAgents(direct, ["code"]);
    for (const message of said) await put(queueUrl, fromAgent(message));
    let batches = 0;
    const invoke = async (_name: string, event: unknown) => {
      batches++;
      // Lambda ends a call by itself; this one has a second.
      return await (handler as (event: unknown, context: unknown) => Promise<unknown>)(event, {
        getRemainingTimeInMillis: () => 8_000,
      });
    };
    proxy.behave(how);
    proxy.cut("rst");
    const source = { functionName: "record-result", queueUrl, batchSize: 10, concurrency: 1 };
    const poller = await startPoller(sqs, invoke, source);
    await vi.waitUntil(() => batches >= 4, { timeout: 30_000 });

    proxy.behave("pass");
    await vi.waitUntil(async () => (await findTask(direct, ACTOR, taskId))?.status === "completed", {
      timeout: 30_000,
    });
    const whole = async () =>
      (await readOutput(direct, ACTOR, { taskId, maxBytes: 1_000 })).bytes.toString() === "one two three";
    await vi.waitUntil(whole, { timeout: 30_000 });
    await poller.stop();

    expect((await receive(deadLetters)).Records).toEqual([]);
  },
  90_000,
);
