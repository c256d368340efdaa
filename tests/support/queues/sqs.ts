import {
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";

/** The queues between tests and agents, from the side of the control plane. */
export type TestQueues = {
  /** The server's URL: a proxy can be put before it. */
  address: () => string;
  /** The variables by which an agent finds its queues, over a proxy where one is given. */
  env: (agent: string, address?: string) => NodeJS.ProcessEnv;
  put: (agent: string, body: string) => Promise<void>;
  /** How many messages an agent's queue has to give, and how many it has lent, where it tells. */
  counts: (agent: string) => Promise<{ visible: number; lent: number | undefined }>;
  /** Takes one message from an agent's queue and keeps it from others. */
  take: (agent: string) => Promise<string | undefined>;
  empty: (agent: string) => Promise<void>;
  /** Some of the dead letters of an agent's queue. */
  deadLetters: (agent: string) => Promise<string[]>;
  /** Tells all that comes to the results queue, until the signal. */
  hear: (tell: (body: string) => void, signal: AbortSignal) => Promise<void>;
};

/** The SQS queues of this test file. */
export function sqsQueues(): TestQueues {
  const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
  const urls = JSON.parse(process.env["AGENT_QUEUES"] ?? "{}") as Record<string, string>;
  const results = process.env["RESULTS_QUEUE_URL"];
  return {
    address: () => process.env["AWS_ENDPOINT_URL_SQS"] ?? "",
    env: (agent, address) => ({
      AGENT_QUEUE_URL: urls[agent],
      ...(address === undefined ? {} : { AWS_ENDPOINT_URL_SQS: address, AWS_MAX_ATTEMPTS: "1" }),
    }),
    put: async (agent, body) => {
      await sqs.send(new SendMessageCommand({ QueueUrl: urls[agent], MessageBody: body }));
    },
    counts: async (agent) => {
      const count = new GetQueueAttributesCommand({ QueueUrl: urls[agent], AttributeNames: ["All"] });
      const { Attributes = {} } = await sqs.send(count);
      return {
        visible: Number(Attributes["ApproximateNumberOfMessages"]),
        lent: Number(Attributes["ApproximateNumberOfMessagesNotVisible"]),
      };
    },
    take: async (agent) => {
      const receive = new ReceiveMessageCommand({ QueueUrl: urls[agent], VisibilityTimeout: 60 });
      return (await sqs.send(receive)).Messages?.[0]?.Body;
    },
    empty: async (agent) => {
      await sqs.send(new PurgeQueueCommand({ QueueUrl: urls[agent] }));
    },
    deadLetters: async (agent) => {
      const receive = new ReceiveMessageCommand({ QueueUrl: `${urls[agent]}-dlq`, MaxNumberOfMessages: 10 });
      return ((await sqs.send(receive)).Messages ?? []).map(({ Body = "" }) => Body);
    },
    hear: async (tell, signal) => {
      while (!signal.aborted) {
        const receive = new ReceiveMessageCommand({ QueueUrl: results, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 });
        const { Messages = [] } = await sqs.send(receive);
        for (const { Body = "", ReceiptHandle } of Messages) {
          tell(Body);
          await sqs.send(new DeleteMessageCommand({ QueueUrl: results, ReceiptHandle }));
        }
      }
    },
  };
}
