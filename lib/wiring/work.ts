import type { Actor } from "../access/actor.ts";
import { agentKeys } from "../access/signing/signers.ts";
import type { Message } from "../protocol/messages.ts";
import { type KeepHeard, keepHeard } from "../registry/heard.ts";
import { deliver } from "../work/core/outbox.ts";
import { toWire } from "../work/core/wire.ts";
import { dispatch, type Started } from "../work/dispatch/dispatch.ts";
import { type Received, recordBatch } from "../work/results/record.ts";
import type { ControlPlane, Part } from "./control-plane.ts";
import { keepEvidence } from "./evidence.ts";
import type { Failure } from "./queue.ts";
import { router } from "./router.ts";
import { sealOf } from "./sealing.ts";

/** Starts what is ready and has room, and has the dispatcher woken when a rate limit lets the next one go. Answers what it started. */
export async function startReady(plane: ControlPlane, actor: Actor): Promise<Started[]> {
  const { db, settings, agents, send, log, wakeForNext } = plane;
  const { started, freeAt } = await dispatch(db, actor, settings.work, agents, send, await sealOf(plane), {
    started: (attempt) => log.info("work dispatched", toWire(attempt)),
    apart: (work) => log.error("work not started", toWire(work)),
  });
  if (freeAt !== null) await wakeForNext(freeAt);
  return started;
}

/** What agents say over their queues are signs of life. */
const heard: Part<KeepHeard> = ({ settings, stamp }) =>
  keepHeard(settings.router.presenceSeconds, () => stamp.now().getTime());

/** Records what agents said and sends what follows from it. Answers the messages that could not be recorded, and why. */
export async function record(plane: ControlPlane, actor: Actor, received: Received[]): Promise<Failure[]> {
  const { db, settings, send, log, wakeForNext } = plane;
  const proofs = { agentKeys, unsignedToo: settings.signing.signatures === "optional" };
  const recorded = await recordBatch(
    db,
    actor,
    settings.work,
    plane.part(router),
    await sealOf(plane),
    proofs,
    received,
  );
  const { ended, stale, outgoing, refused, workWaits } = recorded;
  await deliver(db, outgoing, send);
  // What was said is kept by now; the next message is as good a sign.
  await plane
    .part(heard)(db, recorded.speakers)
    .catch((error: unknown) => log.warn("presence not kept", { error }));
  for (const { message, error } of refused) log.error("message not recorded", { ...about(message), error });
  await keepEvidence(plane, refused, stale);
  for (const { message, why } of stale) log.warn("message changed nothing", { ...about(message), why });
  for (const { taskId, traceId, attempt, how, status } of ended) {
    log.info("attempt ended", { task_id: taskId, trace_id: traceId, attempt, how, status });
  }
  if (workWaits) await wakeForNext();
  return refused;
}

function about({ message_id, trace_id, from_agent, type, payload }: Message) {
  return { message_id, trace_id, from_agent, type, task_id: payload.task_id };
}
