import {
  type Message,
  parseMessage,
  serialiseMessage,
  type WorkRequestMessage,
} from "../../../lib/protocol/messages.ts";
import { openRouter } from "../../../lib/router/decide/route.ts";
import { closeHandovers, countHandovers, hasHandover, insertHandover } from "../../../lib/router/learn/handovers.ts";
import { learn } from "../../../lib/router/learn/learn.ts";
import { routerSettings } from "../../../lib/router/settings.ts";
import { uuidv7 } from "../../../lib/runtime/ids.ts";
import type { Pool } from "../../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../../lib/runtime/settings.ts";
import type { Decision } from "../../../lib/work/core/lifecycle.ts";
import { deliver, type Outgoing } from "../../../lib/work/core/outbox.ts";
import type { Router } from "../../../lib/work/core/router-seam.ts";
import { SubmitWork } from "../../../lib/work/core/schema.ts";
import { dispatch } from "../../../lib/work/dispatch/dispatch.ts";
import { expireLeases, sendLeftovers } from "../../../lib/work/dispatch/sweep.ts";
import { recordBatch } from "../../../lib/work/results/record.ts";
import { workSettings } from "../../../lib/work/settings.ts";
import { decide } from "../../../lib/work/submission/decide.ts";
import { submit } from "../../../lib/work/submission/submit.ts";
import { routeUndecided } from "../../../lib/work/submission/undecided.ts";
import { ACTOR } from "./actor.ts";

const AGENTS = ["infra", "desktop", "code", "research"];

/** The control plane on a real database, with queues that are lists: what is sent is kept, and sending can be made to fail. */
export function worldOf(pool: Pool, env: Record<string, string> = {}) {
  const settings = readSettings(workSettings, env);
  const routing = readSettings(routerSettings, env);
  const stamp = { newId: () => uuidv7(), now: () => new Date() };
  const inFlight = settings.agentInFlight;
  const route = openRouter({ settings: routing, inFlight, queues: AGENTS, newId: stamp.newId });
  const router: Router = {
    route,
    learn: async (db, taskIds) => await learn(db, routing, taskIds),
    insertHandover,
    closeHandovers,
    hasHandover,
    countHandovers,
  };
  const sent: Outgoing[] = [];
  const queues = { down: false };
  const send = async (messages: Outgoing[]) => {
    if (queues.down) return [];
    sent.push(...messages);
    return messages.map(({ id }) => id);
  };
  return {
    router,
    sent,
    queues,
    /** Submits code.run work with these differences and answers its task_id. */
    submit: async (more: Partial<SubmitWork> = {}): Promise<string> => {
      const work = SubmitWork.parse({ request_text: "do it", work_type: "code.run", ...more });
      const submission = { work, key: undefined, taskId: uuidv7(), traceId: uuidv7() };
      return (await submit(pool, ACTOR, settings, route, submission)).row.taskId;
    },
    decide: async (
      decision: Decision,
      taskId: string,
      by = "ada",
      more: { reason?: string; to_agent?: string } = {},
    ) => {
      const outcome = await decide(pool, ACTOR, router, decision, taskId, { by, ...more }, stamp);
      await deliver(pool, outcome.outgoing, send);
      return outcome.row;
    },
    dispatchNow: async () => await dispatch(pool, ACTOR, settings, AGENTS, send, stamp),
    dispatch: async () => (await dispatch(pool, ACTOR, settings, AGENTS, send, stamp)).started.length,
    expire: async () => {
      const expired = await expireLeases(pool, ACTOR, router.learn, send, stamp);
      const failed = expired.filter(({ status }) => status === "failed").length;
      return { retried: expired.length - failed, failed };
    },
    routeUndecided: async () => await routeUndecided(pool, ACTOR, settings, route, 10_000),
    leftovers: async () => await sendLeftovers(pool, ACTOR, send),
    /** Records messages as they come off a queue. */
    record: async (...messages: Message[]) => {
      const received = messages.map((message) => {
        const parsed = parseMessage(serialiseMessage(message));
        if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
        return { recordId: message.message_id, message: parsed.message };
      });
      const recorded = await recordBatch(pool, ACTOR, settings, router, stamp, received);
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
