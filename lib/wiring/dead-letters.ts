import type { SQSRecord } from "aws-lambda";
import { DEFAULT_TEAM } from "../access/actor.ts";
import { printable } from "../input/json.ts";
import { ORCHESTRATOR } from "../protocol/messages.ts";
import { answerTo, type Refusal } from "../protocol/refusal.ts";
import type { Outgoing } from "../runtime/aws/sqs.ts";
import { withConnections } from "../runtime/postgres/pool.ts";
import type { Seal } from "../work/core/messages.ts";
import { teamsOf } from "../work/core/task-row.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { Edges } from "./edges.ts";
import { queueUrls } from "./queue-urls.ts";
import { sealOf } from "./sealing.ts";

/** What burying needs of a control plane. */
export type Sending = Pick<ControlPlane, "settings" | "stamp" | "edges" | "log" | "part">;

/**
 * A message that can never be taken in. `invalid`: it does not follow the protocol; `unstorable`: the database refuses its data;
 * `failed`: a fault of ours, again and again; `forged`: it does not prove that it is its agent's. Neither is told to the sender.
 */
export type Letter = { record: SQSRecord; kind: "invalid" | "unstorable" | "failed" | "forged"; refusal: Refusal };

/**
 * Answers the senders, then puts the messages on the dead letter queue with their reasons, and answers the ids of those that are there: the
 * others stay on the queue. In this order, because an answer twice is harmless and a dead letter twice is two alarms.
 */
export async function bury(plane: Sending, letters: Letter[]): Promise<string[]> {
  if (letters.length === 0) return [];
  const { edges } = plane;
  for (const { record, kind, refusal } of letters) {
    const { remains, error_code, reason } = refusal;
    plane.log.warn("message refused", { ...remains, sqs_message_id: record.messageId, error_code, kind, reason });
  }
  const { answers, unknown, error: notAsked } = await answersFor(plane, letters);
  const answered = await edges.queues.send(answers);
  const unanswered = new Set([...unknown, ...answers.map(({ id }) => id)]);
  for (const id of answered.sent) unanswered.delete(id);
  const outgoing: Outgoing[] = [];
  let error = notAsked ?? answered.error;
  for (const one of letters.filter(({ record }) => !unanswered.has(record.messageId))) {
    try {
      outgoing.push(evidence(one, await deadLetterQueueOf(edges, one.record.eventSourceARN)));
    } catch (caught) {
      error = caught;
    }
  }
  const buried = await edges.queues.send(outgoing);
  error ??= buried.error;
  if (error !== undefined) plane.log.error("dead letter not sent", { error });
  return buried.sent;
}

function evidence({ record, kind, refusal }: Letter, queueUrl: string): Outgoing {
  const { messageId, eventSourceARN, body } = record;
  const attributes = {
    kind,
    ...(kind === "failed" || kind === "forged" ? {} : { error_code: String(refusal.error_code) }),
    reason: printable(refusal.reason, 1_000),
    source_arn: eventSourceARN,
    message_id: messageId,
  };
  return { id: messageId, queueUrl, body, attributes };
}

/** Who has sent a letter, where that could be read. */
type Sender = { agent: string; taskId: string | undefined };

/** The answers to the senders that have a queue, and the ids of the letters of which that is not known, with the error. */
async function answersFor(
  plane: Sending,
  letters: Letter[],
): Promise<{ answers: Outgoing[]; unknown: string[]; error?: unknown }> {
  const answerable = letters.flatMap((letter) => {
    const { from_agent: agent, task_id: taskId } = letter.refusal.remains;
    const isTold = letter.kind === "invalid" || letter.kind === "unstorable";
    return isTold && agent !== undefined ? [{ letter, sender: { agent, taskId } }] : [];
  });
  if (answerable.length === 0) return { answers: [], unknown: [] };
  const { agents } = plane.settings.queues;
  const seal = await sealOf(plane);
  const isAsked = ({ agent, taskId }: Sender) => taskId !== undefined || agents[agent] === undefined;
  const answersBy = (urlOf: (sender: Sender) => string | undefined, some: typeof answerable) =>
    some.flatMap(({ letter, sender }) => answerBy(seal, urlOf(sender), letter));
  const named = ({ agent }: Sender) => agents[agent];
  const asked = answerable.filter(({ sender }) => isAsked(sender));
  if (asked.length === 0) return { answers: answersBy(named, answerable), unknown: [] };
  try {
    const ask = async () => await sendersQueues(plane, asked);
    const urlOf = await withConnections(true, ask, FIND_MS);
    return { answers: answersBy(urlOf, answerable), unknown: [] };
  } catch (error) {
    // The others need no database.
    const others = answerable.filter(({ sender }) => !isAsked(sender));
    const unknown = asked.map(({ letter }) => letter.record.messageId);
    return { answers: answersBy(named, others), unknown, error };
  }
}

/** The queues of the agents that speak of work: those of the team whose work it is, of the default one where there is no such work. */
async function sendersQueues(
  { edges, settings }: Sending,
  asked: { sender: Sender }[],
): Promise<(sender: Sender) => string | undefined> {
  const teams = await teamsOf(
    edges.db,
    asked.flatMap(({ sender: { taskId } }) => (taskId === undefined ? [] : [taskId])),
  );
  const of = ({ agent, taskId }: Sender) => ({ agent, teamId: teams.get(taskId ?? "") ?? DEFAULT_TEAM });
  const urlOf = await queueUrls(
    { db: edges.db, settings },
    asked.map(({ sender }) => of(sender)),
  );
  return (sender) => urlOf(of(sender));
}

function answerBy({ newId, now, sign }: Seal, queueUrl: string | undefined, { record, refusal }: Letter): Outgoing[] {
  if (queueUrl === undefined) return [];
  const answering = { from: ORCHESTRATOR, deliveryId: record.messageId, newId, now: now(), sign };
  const body = answerTo(refusal, answering);
  return body === undefined ? [] : [{ id: record.messageId, queueUrl, body }];
}

/** How long the registry may take to say where the senders' queues are. */
const FIND_MS = 2_000;
const ASK_MS = 5_000;

/** Where a queue's poison goes. Throws where its redrive policy names no queue. */
async function deadLetterQueueOf({ queues }: Edges, queueArn: string): Promise<string> {
  const url = await queues.deadLetterUrl(queueArn, ASK_MS);
  if (url === undefined) throw new Error(`${queueArn} has no dead letter queue. Set its RedrivePolicy.`);
  return url;
}
