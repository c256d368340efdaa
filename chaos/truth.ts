import { GetQueueAttributesCommand, GetQueueUrlCommand, ReceiveMessageCommand } from "@aws-sdk/client-sqs";
import { parseMessage } from "../lib/protocol/messages.ts";
import type { History, Letter, TaskTruth } from "./history/history.ts";
import { outlineOf } from "./ways/sent.ts";
import type { World } from "./world/world.ts";

const QUEUES = ["work", "results", "agent-mason", "agent-clerk"];

type Rows = Pick<History, "tasks" | "steps" | "changes" | "outbox" | "decisions" | "handovers">;

/** What the database says, past all functions. */
export async function readRows({ database: { sql } }: World): Promise<Rows> {
  const tasks = await sql<TaskTruth[]>`
    select task_id, request_id, status::text as status, attempt, attempts_used, max_attempts, to_agent, error_message,
      to_jsonb(tasks)::text as row
    from tasks order by task_id
  `;
  const steps = await sql<Rows["steps"]>`
    select task_id, attempt, step_number as step, status::text as status, action from execution_logs
    order by task_id, attempt, step_number
  `;
  const changes = await sql<Rows["changes"]>`
    select task_id, status, attempt, attempts_used, (extract(epoch from at) * 1000)::float8 as at
    from chaos.changes order by change_id
  `;
  const outbox = await sql<Rows["outbox"]>`
    select task_id, attempt, (extract(epoch from clock_timestamp() - send_after) * 1000)::float8 as due_for_ms from outbox
  `;
  const decisions = await sql<Rows["decisions"]>`
    select task_id, decision, (extract(epoch from decided_at) * 1000)::float8 as at from task_decisions order by decision_id
  `;
  const handovers = await sql<Rows["handovers"]>`
    select task_id, source_agent as "from", target_agent as "to", (extract(epoch from occurred_at) * 1000)::float8 as at
    from agent_transformation_events where event_type = 'handover' order by occurred_at
  `;
  return { tasks, steps, changes, outbox, decisions, handovers };
}

/** How many connections of the functions the server has. */
export async function countConnections({ database: { sql } }: World): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from pg_stat_activity where application_name = 'waybill'
  `;
  return row?.count ?? 0;
}

/** About how many messages are in queues and nobody has settled them. */
export async function countWaiting({ queues: { sqs } }: World): Promise<number> {
  const counts = await Promise.all(
    QUEUES.map(async (name) => {
      const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: `waybill-${name}` }));
      const { Attributes = {} } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }));
      const { ApproximateNumberOfMessages: waiting = 0, ApproximateNumberOfMessagesNotVisible: lent = 0 } = Attributes;
      return Number(waiting) + Number(lent) + Number(Attributes.ApproximateNumberOfMessagesDelayed ?? 0);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** What lies in the dead letter queues. It stays there. */
export async function readLetters({ queues: { sqs } }: World): Promise<Letter[]> {
  const letters: Letter[] = [];
  for (const queue of QUEUES.map((name) => `waybill-${name}-dlq`)) {
    const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: queue }));
    for (;;) {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 300 }),
      );
      if (Messages.length === 0) break;
      for (const { Body = "" } of Messages) {
        letters.push({ queue, body: Body, taskId: outlineOf(Body).taskId, valid: parseMessage(Body).ok });
      }
    }
  }
  return letters;
}

/** The output of work, as its caller reads it. */
export async function readOutputs(
  { api: { url, key } }: World,
  taskIds: readonly string[],
): Promise<History["outputs"]> {
  const outputs: History["outputs"] = [];
  for (const taskId of taskIds) {
    const response = await fetch(`${url}/work/${taskId}/output`, { headers: { authorization: `Bearer ${key}` } });
    outputs.push({ taskId, status: response.status, text: await response.text() });
  }
  return outputs;
}
