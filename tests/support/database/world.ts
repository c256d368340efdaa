import type { Actor } from "../../../lib/access/actor.ts";
import { agentKeys } from "../../../lib/access/signing/signers.ts";
import {
  type Message,
  parseMessage,
  serialiseMessage,
  type WorkRequestMessage,
} from "../../../lib/protocol/messages.ts";
import type { Queues } from "../../../lib/runtime/aws/queues.ts";
import { uuidOf, uuidv7 } from "../../../lib/runtime/ids.ts";
import type { Pool } from "../../../lib/runtime/postgres/db.ts";
import { controlPlane } from "../../../lib/wiring/control-plane.ts";
import { noQueues, processEdges } from "../../../lib/wiring/edges.ts";
import { router as routerPart } from "../../../lib/wiring/router.ts";
import { readPlaneSettings } from "../../../lib/wiring/settings.ts";
import { teamOn } from "../../../lib/wiring/team.ts";
import type { Decision } from "../../../lib/work/core/lifecycle.ts";
import type { Seal } from "../../../lib/work/core/messages.ts";
import { deliver } from "../../../lib/work/core/outbox.ts";
import { type HandOver, SubmitWork } from "../../../lib/work/core/schema.ts";
import { dispatch } from "../../../lib/work/dispatch/dispatch.ts";
import { expireLeases, sendLeftovers } from "../../../lib/work/dispatch/sweep.ts";
import { recordBatch } from "../../../lib/work/results/record.ts";
import { decide } from "../../../lib/work/submission/decide.ts";
import { handOver } from "../../../lib/work/submission/handover-by-person.ts";
import { submit } from "../../../lib/work/submission/submit.ts";
import { routeUndecided } from "../../../lib/work/submission/undecided.ts";
import { SIGN } from "../agents/keys.ts";
import { ACTOR } from "./actor.ts";

/** A message that was sent, and to whom. */
type Sent = { id: string; body: string; toAgent: string };

/** The queues of this test file, as tests/support/setup.ts has named them. */
const QUEUES = Object.fromEntries(
  ["WORK_QUEUE_URL", "RESULTS_QUEUE_URL", "AGENT_QUEUES"].map((name) => [name, process.env[name]]),
);

/** The control plane on a real database, where people and callers are `actor`, with queues that are lists: what is sent is kept, and sending can be made to fail. */
export function worldOf(pool: Pool, env: Record<string, string> = {}, actor: Actor = ACTOR) {
  const sent: Sent[] = [];
  const queues: { down: boolean; refuse?: Error } = { down: false };
  const keep: Queues["send"] = async (messages) => {
    if (queues.down) return { sent: [] };
    if (queues.refuse !== undefined) return { sent: [], error: queues.refuse };
    sent.push(...messages.map(({ id, body }) => ({ id, body, toAgent: (JSON.parse(body) as Message).to_agent })));
    return { sent: messages.map(({ id }) => id) };
  };
  const edges = processEdges({ ...noQueues, send: keep }, pool);
  const plane = controlPlane({ settings: readPlaneSettings({ ...QUEUES, ...env }), edges });
  const { agents, send, stamp } = plane;
  const seal: Seal = { ...stamp, sign: SIGN };
  // What tests of the rules say is believed; that it would not be is tested beside the rules.
  const proofs = { agentKeys, unsignedToo: true };
  const settings = plane.settings.work;
  const router = plane.part(routerPart);
  const { route } = router;
  const mine = teamOn(plane, actor);
  return {
    router,
    sent,
    queues,
    /** Submits code.run work with these differences and answers its task_id. */
    submit: async (more: Partial<SubmitWork> = {}): Promise<string> => {
      const work = SubmitWork.parse({ request_text: "do it", work_type: "code.run", ...more });
      const submission = { work, key: undefined, taskId: uuidv7(), traceId: uuidv7() };
      return (await submit(mine, actor, settings, router, submission)).row.taskId;
    },
    decide: async (
      decision: Decision,
      taskId: string,
      by: string | undefined = actor === ACTOR ? "ada" : undefined,
      more: { reason?: string; to_agent?: string } = {},
    ) => {
      const outcome = await decide(mine, actor, settings, router, decision, taskId, { by, ...more }, seal);
      await deliver(pool, outcome.outgoing, send);
      return outcome.row;
    },
    handOver: async (taskId: string, said: HandOver) => {
      const outcome = await handOver(mine, actor, settings, router, taskId, said, uuidOf, seal);
      await deliver(pool, outcome.outgoing, send);
      return outcome.row;
    },
    dispatchNow: async () => await dispatch(pool, ACTOR, settings, agents, send, seal),
    dispatch: async () => (await dispatch(pool, ACTOR, settings, agents, send, seal)).started.length,
    expireNow: async () => await expireLeases(pool, ACTOR, settings, router.learn, send, seal),
    expire: async () => {
      const { ended, again } = await expireLeases(pool, ACTOR, settings, router.learn, send, seal);
      const failed = ended.filter(({ status }) => status === "failed").length;
      return { retried: ended.length - failed, failed, again: again.length };
    },
    /** Every lease that is held now is over. */
    silence: async () => {
      await pool`update tasks set lease_until = now() - interval '1 second' where status = 'executing'`;
      await pool`update task_attempts set lease_until = now() - interval '1 second' where how is null`;
    },
    routeUndecided: async (budgetMs = 10_000) => (await routeUndecided(pool, ACTOR, settings, route, budgetMs)).found,
    leftovers: async () => await sendLeftovers(pool, ACTOR, send, 10_000),
    /** Records messages as they come off a queue. */
    record: async (...messages: Message[]) => {
      const received = messages.map((message) => {
        const parsed = parseMessage(serialiseMessage(message));
        if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
        return { recordId: message.message_id, message: parsed.message, raw: parsed.raw };
      });
      const recorded = await recordBatch(pool, ACTOR, settings, router, seal, proofs, received);
      await deliver(pool, recorded.outgoing, send);
      return recorded;
    },
    /** The work requests sent so far, in order. */
    requests: (): WorkRequestMessage[] =>
      sent.flatMap(({ body }) => {
        const parsed = parseMessage(body);
        return parsed.ok && parsed.message.type === "work_request" ? [parsed.message] : [];
      }),
  };
}
