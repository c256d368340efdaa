import { SendMessageCommand } from "@aws-sdk/client-sqs";
import { prefixOf } from "../lib/protocol/api-key.ts";
import { signingKeyOf, signWith } from "../lib/protocol/signature.ts";
import { keyFile, readKey } from "../localstack/parts/keys.ts";
import { repeatedly } from "./faults/fault.ts";
import type { Dice } from "./load/dice.ts";
import type { World } from "./world/world.ts";

type Target = { taskId: string; runId: string; traceId: string; attempt: number; toAgent: string };

/** Who signs a lie: an agent by its name, or nobody. */
type Lie = Partial<Target> & { signedBy?: string };

/**
 * What is wrong with a message that may change nothing: who says it, who signs it, of which run, of which attempt. None of them knows the
 * token of the attempt, not even one that is signed by the agent itself.
 */
const LIES: readonly ((target: Target, dice: Dice, others: readonly string[]) => Lie)[] = [
  () => ({}),
  () => ({ toAgent: "intruder" }),
  ({ toAgent }) => ({ signedBy: toAgent }),
  ({ toAgent }, dice) => ({ runId: dice.uuid(), signedBy: toAgent }),
  ({ attempt, toAgent }) => ({ attempt: attempt + 3, signedBy: toAgent }),
  (_target, dice, others) => ({ signedBy: dice.one(others) }),
  (_target, dice, others) => {
    const other = dice.one(others);
    return { toAgent: other, signedBy: other };
  },
];

/** Tells results of work that is under way which nobody may tell, as long as a run lasts; answers how to stop. */
export function forging(world: World, dice: Dice): () => Promise<void> {
  return repeatedly(dice, [300, 700], async () => {
    const targets = await underWay(world).catch(() => []);
    if (targets.length === 0) return;
    const target = dice.one(targets);
    const others = Object.keys(JSON.parse(world.environment["AGENT_QUEUES"] ?? "{}") as object);
    const { taskId, runId, traceId, attempt, toAgent, signedBy } = {
      signedBy: undefined,
      ...target,
      ...dice.one(LIES)(target, dice, others),
    };
    const mark = `FORGED-${dice.uuid()}`;
    const step = { step_number: 1, action: mark, status: "completed", output: { chunk_number: 0, text: mark } };
    const payload = {
      task_id: taskId,
      attempt,
      lease_token: "0".repeat(64),
      status: "completed",
      exit_code: 0,
      output: mark,
      steps: [step],
    };
    const message = {
      protocol_version: "1.0",
      message_id: dice.uuid(),
      from_agent: toAgent,
      to_agent: "orchestrator",
      timestamp: new Date().toISOString(),
      trace_id: traceId,
      request_id: runId,
      type: "work_result",
      payload,
    };
    world.noted.forged.push(mark);
    const MessageBody = JSON.stringify(signedBy === undefined ? message : signed(world, signedBy, message));
    const QueueUrl = world.environment["RESULTS_QUEUE_URL"];
    await world.queues.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody })).catch(() => {});
  });
}

function signed(world: World, agent: string, message: object): object {
  const key = readKey(keyFile(world.dir, agent)) ?? "";
  return signWith(signingKeyOf(key), prefixOf(key))(message);
}

async function underWay({ database: { sql } }: World): Promise<Target[]> {
  return await sql<Target[]>`
    select task_id, run_id, trace_id, attempt, to_agent from tasks where status = 'executing' order by task_id
  `;
}
