import { randomUUID } from "node:crypto";
import {
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  type Message,
  ReceiveMessageCommand,
} from "@aws-sdk/client-sqs";
import type { ChannelModel, ConsumeMessage } from "amqplib";
import { vi } from "vitest";
import { type BridgeSettings, readBridgeEnv } from "../../../localstack/bridge/settings.ts";
import { status } from "../../protocol/samples.ts";
import { agentQueue, sqs } from "../http/events.ts";

/** The settings of a bridge between the queues of this test file and a broker. */
export function bridgeSettings(
  rabbitUrl: string,
  rabbitPrefix: string,
  more: Partial<BridgeSettings> = {},
): BridgeSettings {
  const settings = readBridgeEnv({
    ...process.env,
    RABBITMQ_URL: rabbitUrl,
    RABBITMQ_PREFIX: rabbitPrefix,
    BRIDGE_PORT: "0",
    BRIDGE_GRACE_SECONDS: "2",
    BRIDGE_POLL_SECONDS: "1",
  });
  return { ...settings, agentQueues: { code: agentQueue("code") }, ...more };
}

/** A message as a side gets it that says `text` in its payload. */
export function envelope(text = "hello", more: Record<string, unknown> = {}): Record<string, unknown> {
  const ids = { message_id: randomUUID(), trace_id: randomUUID(), request_id: randomUUID() };
  return {
    ...status,
    from_agent: "orchestrator",
    to_agent: "code",
    type: "work_request",
    payload: { text },
    ...ids,
    ...more,
  };
}

/** Takes messages off a queue of the broker until `count` different bodies are there; any may come twice. */
export async function takeFromRabbit(connection: ChannelModel, queue: string, count = 1): Promise<ConsumeMessage[]> {
  const channel = await connection.createChannel();
  const got: ConsumeMessage[] = [];
  const bodies = new Set<string>();
  const { consumerTag } = await channel.consume(queue, (message) => {
    if (message === null) return;
    got.push(message);
    bodies.add(message.content.toString("base64"));
    channel.ack(message);
  });
  await vi.waitUntil(() => bodies.size >= count, { timeout: 20_000, interval: 10 });
  await channel.cancel(consumerTag);
  await channel.close();
  return got;
}

/** Takes `count` messages off a queue of SQS, each once it is there. */
export async function takeFromSqs(QueueUrl: string, count = 1): Promise<Message[]> {
  const got: Message[] = [];
  await vi.waitUntil(
    async () => {
      const command = new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ["All"],
      });
      for (const message of (await sqs.send(command)).Messages ?? []) {
        await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
        got.push(message);
      }
      return got.length >= count;
    },
    { timeout: 20_000, interval: 20 },
  );
  return got;
}

/** How many messages a queue of SQS has, those in somebody's hand among them. */
export async function countInSqs(QueueUrl: string): Promise<number> {
  const command = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] });
  const { Attributes = {} } = await sqs.send(command);
  const { ApproximateNumberOfMessages: seen, ApproximateNumberOfMessagesNotVisible: lent } = Attributes;
  return Number(seen) + Number(lent);
}

/** The dead letter queue of a queue of SQS. */
export async function deadLettersOf(QueueUrl: string): Promise<string> {
  const command = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["RedrivePolicy"] });
  const policy = JSON.parse((await sqs.send(command)).Attributes?.["RedrivePolicy"] ?? "{}") as Record<string, string>;
  const QueueName = policy["deadLetterTargetArn"]?.split(":").at(-1);
  return (await sqs.send(new GetQueueUrlCommand({ QueueName }))).QueueUrl ?? "";
}
