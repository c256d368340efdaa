import { describe } from "vitest";
import { over } from "../agents/agent.ts";
import { amqpQueues } from "./amqp.ts";
import { findBroker } from "./rabbitmq.ts";
import { sqsQueues, type TestQueues } from "./sqs.ts";

const found = await findBroker();

/** The same tests over SQS and over AMQP; the latter are skipped, and the run says so, where there is no broker. */
export function overBoth(tests: (queues: TestQueues, tools: ReturnType<typeof over>) => void): void {
  describe("over SQS", () => {
    const queues = sqsQueues();
    tests(queues, over(queues));
  });
  describe.skipIf(found === undefined)("over AMQP", () => {
    const queues = amqpQueues(found);
    tests(queues, over(queues));
  });
}
