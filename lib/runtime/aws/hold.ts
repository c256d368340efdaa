import { ChangeMessageVisibilityBatchCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { queueUrlOf } from "./dead-letters.ts";

/** A message that was received, and after how many seconds from now it is to come again. */
export type Held = { receiptHandle: string; seconds: number };

/** Ten a call is all that SQS takes. */
const BATCH = 10;

/**
 * Has messages of the queue with this ARN come again after their seconds. Rejects where SQS refuses one, or does not answer within `ms`
 * milliseconds a call; the others are held all the same.
 */
export async function holdMessages(sqs: SQSClient, queueArn: string, held: readonly Held[], ms: number): Promise<void> {
  const QueueUrl = await queueUrlOf(sqs, queueArn, ms);
  const batches = Array.from({ length: Math.ceil(held.length / BATCH) }, (_, i) =>
    held.slice(i * BATCH, (i + 1) * BATCH),
  );
  const answers = await Promise.all(
    batches.map(async (batch) => {
      const Entries = batch.map(({ receiptHandle, seconds }, index) => ({
        Id: String(index),
        ReceiptHandle: receiptHandle,
        VisibilityTimeout: seconds,
      }));
      const command = new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries });
      return await sqs.send(command, { abortSignal: AbortSignal.timeout(ms) });
    }),
  );
  const [refused] = answers.flatMap(({ Failed = [] }) => Failed);
  if (refused !== undefined) throw new Error(`SQS does not hold a message: ${refused.Code} ${refused.Message ?? ""}`);
}
