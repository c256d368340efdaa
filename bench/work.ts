import { type Caller, DEFAULT_TEAM, system } from "../lib/access/actor.ts";
import { agentKeys } from "../lib/access/signing/signers.ts";
import { envelope } from "../lib/protocol/envelope.ts";
import {
  type Message,
  ORCHESTRATOR,
  parseMessage,
  serialiseMessage,
  type WorkRequestMessage,
} from "../lib/protocol/messages.ts";
import { type Sign, signingKeyOf, signWith } from "../lib/protocol/signature.ts";
import { uuidv7 } from "../lib/runtime/ids.ts";
import { connect } from "../lib/runtime/postgres/db.ts";
import type { Transactions } from "../lib/runtime/postgres/team.ts";
import { type ControlPlane, controlPlane } from "../lib/wiring/control-plane.ts";
import { noQueues, processEdges } from "../lib/wiring/edges.ts";
import { router } from "../lib/wiring/router.ts";
import { readPlaneSettings } from "../lib/wiring/settings.ts";
import { teamOn } from "../lib/wiring/team.ts";
import type { Outgoing } from "../lib/work/core/outbox.ts";
import { SubmitWork } from "../lib/work/core/schema.ts";
import { dispatch } from "../lib/work/dispatch/dispatch.ts";
import { recordBatch } from "../lib/work/results/record.ts";
import { submit } from "../lib/work/submission/submit.ts";

const actor = system("bench", DEFAULT_TEAM);
/** Nothing is sent there. */
const NO_QUEUE = "http://127.0.0.1:9/none";
const QUEUES = {
  WORK_QUEUE_URL: NO_QUEUE,
  RESULTS_QUEUE_URL: NO_QUEUE,
  AGENT_QUEUES: JSON.stringify({ code: NO_QUEUE }),
};
const body = {
  request_text: "say hello",
  work_type: "code.run",
  parameters: { command: "echo", args: ["x".repeat(400)] },
};

/** With what the control plane signs. */
const SIGN = signWith(signingKeyOf("a secret for benchmarks alone, of enough characters"));

/** A caller in its team, and the agent `code` with the key by which it signs. */
export type Known = { caller: Caller; agent: Sign };

/**
 * The domain on one connection, its queues taken away: what is sent is handed to the agent below at once. Without `known` for the
 * system, and the agent is believed without a signature.
 */
export function benchWorld(url: string, inFlight: number, known?: Known) {
  const caller = known?.caller;
  const pool = connect({ ...process.env, DATABASE_URL: url, DATABASE_POOL_MAX: "1" });
  const plane = controlPlane({
    settings: readPlaneSettings({ ...QUEUES, AGENT_IN_FLIGHT: String(inFlight) }),
    edges: processEdges({ ...noQueues, send: async () => ({ sent: [] }) }, pool),
  });
  const { agents, settings } = plane;
  // Without a caller as it was before there were teams: no transaction around the one statement.
  const mine: Transactions = caller === undefined ? { begin: async (run) => await run(pool) } : teamOn(plane, caller);
  return {
    pool,
    /** POST /work from its parsed JSON to its row: validation, hash, one statement, one commit. */
    submit: async () => {
      const work = SubmitWork.parse(body);
      const submission = { work, key: undefined, taskId: uuidv7(), traceId: uuidv7() };
      await submit(mine, caller ?? actor, settings.work, plane.part(router), submission);
    },
    /** Claims what is ready, lets an agent that needs no time do it, records what it says: a step with output, a result. */
    live: async () => {
      const sent: Outgoing[] = [];
      await dispatch(
        pool,
        actor,
        settings.work,
        agents,
        async (messages) => {
          sent.push(...messages);
          return { sent: messages.map(({ id }) => id), refused: [] };
        },
        { ...plane.stamp, sign: SIGN },
      );
      if (sent.length > 0) await record(plane, sent, known?.agent);
    },
  };
}

async function record(plane: ControlPlane, sent: Outgoing[], agent: Sign | undefined): Promise<void> {
  const messages = sent.map(({ body: text }) => resultOf(JSON.parse(text) as WorkRequestMessage));
  const received = messages.map((message) => {
    const parsed = parseMessage(serialiseMessage(message, agent));
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
    return { recordId: message.message_id, ...parsed };
  });
  const seal = { ...plane.stamp, sign: SIGN };
  const proofs = { agentKeys, unsignedToo: agent === undefined };
  const { ended } = await recordBatch(plane.db, actor, plane.settings.work, plane.part(router), seal, proofs, received);
  if (ended.length !== sent.length) throw new Error(`${sent.length} results, ${ended.length} recorded`);
}

function resultOf(request: WorkRequestMessage): Message {
  const { task_id, attempt, lease_token } = request.payload;
  const output = { chunk_number: 0, encoding: "utf8" as const, text: "x".repeat(400) };
  const step = {
    step_number: 1,
    action: "echo",
    status: "completed" as const,
    summary: "hello",
    duration_ms: 5,
    output,
  };
  const payload = { task_id, attempt, lease_token, status: "completed" as const, exit_code: 0, steps: [step] };
  const identity = { messageId: uuidv7(), at: new Date(), traceId: request.trace_id, requestId: request.request_id };
  return envelope("work_result", request.to_agent, ORCHESTRATOR, payload, identity);
}
