import { randomUUID } from "node:crypto";
import { CreateQueueCommand, GetQueueAttributesCommand } from "@aws-sdk/client-sqs";
import type { SQSEvent } from "aws-lambda";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { handler } from "../../../functions/work/record-result.ts";
import { system } from "../../../lib/access/actor.ts";
import { rotateKey } from "../../../lib/access/keys/rotate.ts";
import { putKey } from "../../../lib/access/operator/put-key.ts";
import { timeOfSending } from "../../../lib/agent-kit/speaker.ts";
import { prefixOf } from "../../../lib/protocol/api-key.ts";
import { type Message, serialiseMessage, type WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { signingKeyOf, signWith } from "../../../lib/protocol/signature.ts";
import { log } from "../../../lib/runtime/log.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { findTask } from "../../../lib/work/core/task-row.ts";
import { agentKey, fromAgent, knowAgents, signAs } from "../../support/agents/keys.ts";
import { ACTOR, TEAM } from "../../support/database/actor.ts";
import { newTeam } from "../../support/database/teams.ts";
import { worldOf } from "../../support/database/world.ts";
import { put, receive, reply, sqs } from "../../support/http/events.ts";

// What the function that records results believes: over its real queue, with the real keys.

const db = connect();
const world = worldOf(db, { AGENT_IN_FLIGHT: "100" });
let queueUrl: string;
let deadLetters: string;

beforeAll(async () => {
  await knowAgents(db, ["code", "infra"]);
});
afterAll(async () => await db.end());
beforeEach(async () => {
  const QueueName = `proof-${randomUUID()}`;
  deadLetters = (await sqs.send(new CreateQueueCommand({ QueueName: `${QueueName}-dlq` }))).QueueUrl ?? "";
  const ask = new GetQueueAttributesCommand({ QueueUrl: deadLetters, AttributeNames: ["QueueArn"] });
  const deadLetterTargetArn = (await sqs.send(ask)).Attributes?.["QueueArn"];
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 1000 });
  queueUrl = (await sqs.send(new CreateQueueCommand({ QueueName, Attributes: { RedrivePolicy } }))).QueueUrl ?? "";
});

/** Work that the agent was asked for. */
async function asked(to_agent: "code" | "infra" = "code"): Promise<WorkRequestMessage> {
  const taskId = await world.submit({ work_type: `${to_agent}.run`, to_agent });
  await world.dispatch();
  const request = world.requests().find(({ payload }) => payload.task_id === taskId);
  if (request === undefined) throw new Error("nothing was sent");
  return request;
}

/** Hands bodies to the function as their queue does; answers the dead letters that become of them, and how many come again. */
async function hear(...bodies: string[]): Promise<{ letters: SQSEvent["Records"]; again: number }> {
  for (const body of bodies) await put(queueUrl, body);
  const event = await receive(queueUrl);
  expect(event.Records).toHaveLength(bodies.length);
  const { batchItemFailures } = await handler(event);
  return { letters: (await receive(deadLetters)).Records, again: batchItemFailures.length };
}

async function statusOf({ payload }: WorkRequestMessage): Promise<string | undefined> {
  return (await findTask(db, ACTOR, payload.task_id))?.status;
}

const done = (request: WorkRequestMessage, more: object = {}): Message =>
  reply(request, "work_result", { status: "completed", output: "done", ...more });

/** The same message with something of its envelope changed, signed by whom `sign` says. */
const as = (message: Message, envelope: Partial<Message>, sign = signAs(message.from_agent)): string =>
  serialiseMessage({ ...message, ...envelope } as Message, sign);

const FORGERIES: [what: string, reason: RegExp, (request: WorkRequestMessage) => Promise<string> | string][] = [
  ["not signed", /not signed/, (request) => serialiseMessage(done(request))],
  [
    "signed with a key that nobody has",
    /no agent's/,
    (request) => as(done(request), {}, signWith(signingKeyOf("?".repeat(40)), "wb_nobodyskey00")),
  ],
  [
    "signed with another secret under the agent's key id",
    /signature/,
    (request) => as(done(request), {}, signWith(signingKeyOf("?".repeat(40)), prefixOf(agentKey("code")))),
  ],
  [
    "of another agent, signed by that one",
    /given to code/,
    (request) => as(done(request), { from_agent: "infra" }, signAs("infra")),
  ],
  ["in this agent's name, signed by another", /key of infra/, (request) => as(done(request), {}, signAs("infra"))],
  ["changed after it was signed", /signature/, (request) => fromAgent(done(request)).replace('"done"', '"DONE"')],
  ["without the token", /token of attempt 1/, (request) => fromAgent(done(request, { lease_token: undefined }))],
  ["with a made-up token", /token is not/, (request) => fromAgent(done(request, { lease_token: "0".repeat(64) }))],
  [
    "with the token of other work",
    /token is not/,
    async (request) => fromAgent(done(request, { lease_token: (await asked()).payload.lease_token })),
  ],
  [
    "of an attempt that was not given",
    /attempt 7 was not given/,
    (request) => fromAgent(done(request, { attempt: 7 })),
  ],
  [
    "an error without the token",
    /token of attempt 1/,
    (request) =>
      fromAgent(
        reply(request, "error", { error_code: 5001, error_message: "no", lease_token: undefined, attempt: undefined }),
      ),
  ],
];

test.each(FORGERIES)("a message that is %s changes nothing, and is kept as evidence", async (_what, reason, forge) => {
  const request = await asked();
  const { letters, again } = await hear(await forge(request));

  expect(again).toBe(0);
  expect(await statusOf(request)).toBe("executing");
  expect(
    letters.map(({ messageAttributes }) => messageAttributes["kind"]?.stringValue ?? messageAttributes["kind"]),
  ).toHaveLength(1);
  expect(JSON.stringify(letters[0]?.messageAttributes)).toMatch(reason);
  expect(JSON.stringify(letters[0]?.messageAttributes)).toContain("forged");

  // The agent itself is heard all the same.
  await hear(fromAgent(done(request)));
  expect(await statusOf(request)).toBe("completed");
});

test("a refused message is recorded with who it says that it is from and why, and counted for the alarm", async () => {
  const request = await asked();
  const metrics = vi.spyOn(log, "metrics");
  const message = done(request);
  await hear(serialiseMessage(message));

  const [event] = await db`
    select team_id, actor_kind, actor, action, object_kind, object_id, reason, details, trace_id from audit_events
    where action = 'message.refused' and object_id = ${request.payload.task_id}
  `;
  expect(event).toMatchObject({
    teamId: TEAM,
    actorKind: "unknown",
    actor: "agent:code",
    objectKind: "work",
    reason: expect.stringContaining("not signed"),
    details: { message_id: message.message_id, type: "work_result", signed_with: null },
    traceId: request.trace_id,
  });
  expect(metrics).toHaveBeenCalledWith("messages not believed", expect.objectContaining({ RefusedMessages: 1 }));
  metrics.mockRestore();
});

test("one forged message of a batch holds up no other", async () => {
  const [one, two] = [await asked(), await asked("infra")];
  const { letters } = await hear(as(done(two), { from_agent: "code" }, signAs("code")), fromAgent(done(one)));

  expect(letters).toHaveLength(1);
  expect([await statusOf(one), await statusOf(two)]).toEqual(["completed", "executing"]);
});

test("a sign of life that is said again renews no lease, and does not bring back what silence has ended", async () => {
  const request = await asked();
  const start_id = randomUUID();
  const alive = fromAgent(reply(request, "work_status", { status: "executing", start_id }));
  await hear(alive);
  const lease = async () => {
    const [row] = await db<{ leaseUntil: Date; how: string | null }[]>`
      select lease_until, how from task_attempts where task_id = ${request.payload.task_id} order by attempt limit 1
    `;
    return row;
  };
  const before = await lease();
  await hear(alive);
  expect(await lease()).toEqual(before);

  // Silence has it asked, twice, then ended.
  for (let round = 0; round < 3; round++) {
    await world.silence();
    await world.expire();
    await hear(alive);
  }
  expect((await lease())?.how).toBe("lease_expired");
  expect(await statusOf(request)).toBe("approved");

  // The process itself is alive after all.
  await hear(fromAgent(reply(request, "work_status", { status: "executing", start_id })));
  expect(await statusOf(request)).toBe("executing");
});

test("an attempt that is asked for again has another token, and the one before stays good", async () => {
  const first = await asked();
  await world.silence();
  await world.expire();
  const second = world.requests().findLast(({ payload }) => payload.task_id === first.payload.task_id);
  expect(second?.payload.attempt).toBe(1);
  expect(second?.payload.lease_token).not.toBe(first.payload.lease_token);

  await hear(fromAgent(reply(first, "work_status", { status: "executing", start_id: randomUUID() })));
  expect((await hear(fromAgent(done(second ?? first)))).letters).toEqual([]);
  expect(await statusOf(first)).toBe("completed");
});

test("a key that rotates signs with both secrets while the grace lasts, then with the new one alone; a revoked one signs nothing", async () => {
  await knowAgents(db, ["research"]);
  const asking = async () => {
    const taskId = await world.submit({ work_type: "research.read", to_agent: "research" });
    await world.dispatch();
    return world.requests().find(({ payload }) => payload.task_id === taskId) as WorkRequestMessage;
  };
  const prefix = prefixOf(agentKey("research")) ?? "";
  const [row] = await db<{ keyId: string }[]>`select key_id from api_keys where prefix = ${prefix}`;
  const { key } = await rotateKey(db, system("test", TEAM), row?.keyId ?? "", 3600);
  const signNew = signWith(signingKeyOf(key), prefixOf(key));

  const [old, young] = [await asking(), await asking()];
  await hear(fromAgent(done(old)), as(done(young), {}, signNew));
  expect([await statusOf(old), await statusOf(young)]).toEqual(["completed", "completed"]);

  await db`update api_keys set previous_until = now() - interval '1 second' where key_id = ${row?.keyId ?? null}`;
  const late = await asking();
  expect((await hear(fromAgent(done(late)))).letters).toHaveLength(1);
  await hear(as(done(late), {}, signNew));
  expect(await statusOf(late)).toBe("completed");

  await db`update api_keys set revoked_at = now(), revoked_by = 'test' where key_id = ${row?.keyId ?? null}`;
  const never = await asking();
  const { letters } = await hear(as(done(never), {}, signNew));
  expect(JSON.stringify(letters[0]?.messageAttributes)).toMatch(/revoked/);
});

test("an agent of the same name in another team cannot speak of this team's work", async () => {
  const other = await newTeam(db, "others");
  const theirs = `wb_othersothers_${"9".repeat(43)}`;
  const holder = { team: other.team ?? "", name: "their-code", agent: "code" };
  await db.begin(async (tx) => {
    await putKey(tx, system("test"), { key: theirs, keyId: randomUUID() }, holder);
  });
  const request = await asked();

  const { letters } = await hear(as(done(request), {}, signWith(signingKeyOf(theirs), prefixOf(theirs))));

  expect(JSON.stringify(letters[0]?.messageAttributes)).toMatch(/another team/);
  expect(await statusOf(request)).toBe("executing");
});

test("an agent's word that a message was forged ends nothing", async () => {
  const request = await asked();
  const said = reply(request, "error", { error_code: 5008, error_message: "it is not signed by the control plane" });
  expect(await hear(as(said, { timestamp: timeOfSending().toISOString() }))).toEqual({ letters: [], again: 0 });
  expect(await statusOf(request)).toBe("executing");
  const kept =
    await db`select reason from audit_events where action = 'message.refused' and object_id = ${request.payload.task_id}`;
  expect(kept).toMatchObject([{ reason: expect.stringContaining("the agent did not believe message") }]);
});
