import { SendMessageCommand } from "@aws-sdk/client-sqs";
import { repeatedly } from "./faults/fault.ts";
import type { Dice } from "./load/dice.ts";
import type { World } from "./world/world.ts";

type Target = { taskId: string; runId: string; traceId: string; attempt: number; toAgent: string };

/** What is wrong with a message that may change nothing: who says it, of which run, of which attempt. */
const LIES: readonly ((target: Target, dice: Dice) => Partial<Target>)[] = [
  () => ({ toAgent: "intruder" }),
  (_target, dice) => ({ runId: dice.uuid() }),
  ({ attempt }) => ({ attempt: attempt + 3 }),
];

/** Tells results of work that is under way which nobody may tell, as long as a run lasts; answers how to stop. */
export function forging(world: World, dice: Dice): () => Promise<void> {
  return repeatedly(dice, [300, 700], async () => {
    const targets = await underWay(world).catch(() => []);
    if (targets.length === 0) return;
    const target = dice.one(targets);
    const { taskId, runId, traceId, attempt, toAgent } = { ...target, ...dice.one(LIES)(target, dice) };
    const mark = `FORGED-${dice.uuid()}`;
    const step = { step_number: 1, action: mark, status: "completed", output: { chunk_number: 0, text: mark } };
    const payload = { task_id: taskId, attempt, status: "completed", exit_code: 0, output: mark, steps: [step] };
    const envelope = {
      protocol_version: "1.0",
      message_id: dice.uuid(),
      from_agent: toAgent,
      to_agent: "orchestrator",
      timestamp: new Date().toISOString(),
      trace_id: traceId,
      request_id: runId,
      type: "work_result",
    };
    world.noted.forged.push(mark);
    const MessageBody = JSON.stringify({ ...envelope, payload });
    const QueueUrl = world.environment["RESULTS_QUEUE_URL"];
    await world.queues.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody })).catch(() => {});
  });
}

async function underWay({ database: { sql } }: World): Promise<Target[]> {
  return await sql<Target[]>`
    select task_id, run_id, trace_id, attempt, to_agent from tasks where status = 'executing' order by task_id
  `;
}
