import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { handler as decideWork } from "../../functions/work/decide-work.ts";
import { handler as dispatch } from "../../functions/work/dispatch.ts";
import { handler as getOutput } from "../../functions/work/get-output.ts";
import { handler as getWork } from "../../functions/work/get-work.ts";
import { handler as recordResult } from "../../functions/work/record-result.ts";
import { handler as submitWork } from "../../functions/work/submit-work.ts";
import { parseMessage, type WorkStatus } from "../../lib/protocol/messages.ts";
import { isSignedBy, keyIdOf, publicKeyOf, signingKeyOf } from "../../lib/protocol/signature.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { type Bridge, startBridge } from "../../localstack/bridge/start.ts";
import {
  type Asked,
  envelope,
  over,
  spawnProgram,
  type TestAgent,
  testFolder,
  until,
} from "../support/agents/agent.ts";
import { agentKey, identityOf, knowAgents } from "../support/agents/keys.ts";
import { findPython } from "../support/agents/python.ts";
import { agentQueue, call, eventOf, receive } from "../support/http/events.ts";
import { startProxy } from "../support/http/proxy.ts";
import { amqpQueues } from "../support/queues/amqp.ts";
import { bridgeSettings } from "../support/queues/bridge.ts";
import { findBroker } from "../support/queues/rabbitmq.ts";
import { sqsQueues } from "../support/queues/sqs.ts";

const found = await findBroker();
const python = findPython();
const SCRIPT = "agents/python/agent.py";

// A page that comes when the test says so.
let pages: ((text: string) => void)[] = [];
const server = createServer((_request, response) => pages.push((text) => response.end(text)));

describe.skipIf(found === undefined || python === undefined)("the agent in Python", () => {
  const queues = amqpQueues(found);
  const { ask, cancel, question, listen } = over(queues);
  const heard = listen();
  let page = "";
  const started: TestAgent[] = [];
  const start = async (data: string, address?: string, more: NodeJS.ProcessEnv = {}) => {
    const own = { ...identityOf("research"), WAYBILL_AGENT_DATA: data, AGENT_GRACE_SECONDS: "1" };
    const env = { ...queues.env("research", address), ...own, ...more };
    const agent = await spawnProgram([python ?? "", SCRIPT], env);
    started.push(agent);
    return agent;
  };
  const request = async () => await until("the page is asked for", () => pages.pop());

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    page = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(async () => {
    pages = [];
    for (const agent of started.splice(0)) await agent.crash();
    await queues.empty("research");
  });

  test("tells steps, output and result, each message following the protocol", async () => {
    await start(testFolder());
    const text = "so wörld, so it goes\nso";
    const asked = await ask("research", "research.digest", { text }, { x_custom_fields: { a: [1] } });

    expect(await heard.result(asked)).toMatchObject({
      status: "completed",
      metrics: { lines: 2, words: 6, characters: 23 },
    });
    await until("all was told", () => heard.steps(asked).length === 3);
    expect(heard.output(asked).toString()).toBe("3 so\n1 wörld\n1 it\n1 goes\n");
    for (const message of heard.of(asked)) {
      expect(parseMessage(JSON.stringify(message))).toMatchObject({ ok: true });
      expect(message).toMatchObject({ from_agent: "research", trace_id: asked.trace_id, x_custom_fields: { a: [1] } });
    }
  });

  test.for([
    ["research.paint", {}, /^5002 unknown_work_type/],
    ["research.digest", { txt: "" }, /^5004 invalid_parameters/],
    ["research.digest", { url: "file:///etc/passwd" }, /^5004 invalid_parameters/],
    ["research.digest", { url: "http://127.0.0.1:1/" }, /refused/],
  ] as const)("%s %j is a failed result that says why", async ([work_type, parameters, reason]) => {
    await start(testFolder());
    const asked = await ask("research", work_type, parameters);

    const result = await heard.result(asked);

    expect(result.status).toBe("failed");
    expect(result.error_message).toMatch(reason);
  });

  test("ends the step that is open when its work fails, is cancelled, is handed back, or dies with its process", async () => {
    const data = testFolder();
    const first = await start(data);
    const refusal = await ask("research", "research.digest", { url: "http://127.0.0.1:1/" });
    const stepOf = async (asked: Asked, summary: RegExp) =>
      await until(`the step ends: ${summary}`, () => {
        const last = heard.steps(asked).at(-1);
        return last?.status === "failed" && summary.test(last.summary ?? "") && last.step_number === 1;
      });
    await stepOf(refusal, /refused/);

    const cancelled = await ask("research", "research.digest", { url: page });
    await request();
    await cancel(cancelled);
    await stepOf(cancelled, /^cancelled$/);

    const dies = await ask("research", "research.digest", { url: page });
    await request();
    await until("the step is told", () => heard.steps(dies).length === 1);
    await first.crash();
    const second = await start(data);
    await stepOf(dies, /^its process ended in the middle of attempt 1$/);

    const handedBack = await ask("research", "research.digest", { url: page });
    await request();
    await second.stop();
    await stepOf(handedBack, /^handed back: /);
    for (const asked of [refusal, cancelled, dies, handedBack]) {
      expect(heard.steps(asked).map(({ status }) => status)).toEqual(["running", "failed"]);
    }
  });

  test("answers a request that comes again from what it has kept, after it was killed too", async () => {
    const data = testFolder();
    const first = await start(data);
    const asked = await ask("research", "research.digest", { url: page });
    (await request())("once");
    expect((await heard.result(asked)).metrics).toMatchObject({ words: 1 });
    await first.crash();
    await queues.empty("research");

    const second = await start(data);
    const { task_id, request_id } = asked;
    await ask("research", "research.digest", { url: page }, { task_id, request_id, attempt: 2 });

    expect((await heard.result(asked, 2)).metrics).toMatchObject({ words: 1 });
    expect(heard.output(asked, 2)).toEqual(heard.output(asked, 1));
    expect(pages).toEqual([]);
    await second.stop();
  });

  test("work that its process died of has told that it ran, ends its attempt as retryable, and is not begun again under it", async () => {
    const data = testFolder();
    const first = await start(data);
    const asked = await ask("research", "research.digest", { url: page });
    await request();
    await first.crash();
    await until("it was told that it runs", () => heard.told(asked, "executing")[0]);
    await start(data);

    expect(await heard.result(asked)).toMatchObject({
      status: "failed",
      retryable: true,
      error_message: "its process ended in the middle of attempt 1",
    });
    expect(heard.results(asked)[0]?.payload.start_id).toBe(await heard.start(asked));
    expect(pages).toEqual([]);
    const { task_id, request_id } = asked;
    await ask("research", "research.digest", { url: page }, { task_id, request_id, attempt: 2 });
    (await request())("again");
    expect((await heard.result(asked, 2)).status).toBe("completed");
  });

  test("goes on through a lost connection, and does the work once", async () => {
    const proxy = await startProxy(queues.address());
    const agent = await start(testFolder(), proxy.url);
    const asked = await ask("research", "research.digest", { url: page });
    const answer = await request();

    proxy.behave("hang up");
    proxy.cut("rst");
    await until("it is noticed", () => agent.stderr().includes("not reachable"));
    answer("two words");
    proxy.behave("pass");

    expect((await heard.result(asked)).metrics).toMatchObject({ words: 2 });
    await agent.stop();
    expect(await queues.left("research")).toBe(0);
    expect(pages).toEqual([]);
    await proxy.close();
  });

  test("makes its queue anew where somebody removed it, and goes on", async () => {
    const agent = await start(testFolder());
    const starts = () => agent.stderr().split('"agent started"').length - 1;

    await queues.remove("research");
    await until("it listens again", () => starts() === 2);
    const asked = await ask("research", "research.digest", { text: "" });

    expect((await heard.result(asked)).status).toBe("completed");
  });

  test("does what comes to its queue after somebody removed it and at once made it anew", async () => {
    await start(testFolder());

    await queues.remake("research");
    const asked = await ask("research", "research.digest", { text: "" });

    expect((await heard.result(asked)).status).toBe("completed");
  });

  test("renews its lease while it works, stops when the work is cancelled, and confirms it as its last word", async () => {
    await start(testFolder());
    const asked = await ask("research", "research.digest", { url: page }, { lease_seconds: 1 });
    await request();
    await until("it has told that it lives", () => heard.statuses(asked).length >= 4);

    await cancel(asked);
    const after = await ask("research", "research.digest", { text: "" });

    expect((await heard.result(after)).status).toBe("completed");
    expect((await heard.cancelled(asked)).payload.start_id).toBe(await heard.start(asked));
    expect(heard.statuses(asked).at(-1)?.payload.status).toBe("cancelled");
    expect(heard.results(asked)).toEqual([]);
  });

  test("names its start and its process in all that it says, another one for each start", async () => {
    const agent = await start(testFolder());
    const [one, two] = [await ask("research", "research.digest", { text: "" }), await ask("research", "none", {})];
    for (const asked of [one, two]) await heard.result(asked);
    await until("all was told", () => heard.steps(one).length === 3);

    const said = [...heard.of(one), ...heard.of(two)].map(({ payload }) => payload as WorkStatus);
    expect(new Set(said.map(({ process }) => process))).toEqual(new Set([`${hostname()}:${agent.child.pid}`]));
    const starts = new Set(said.map(({ start_id }) => start_id));
    expect(starts).toEqual(new Set([await heard.start(one), await heard.start(two)]));
    expect([...starts].map((id) => id?.[14])).toEqual(["7", "7"]);
  });

  test("says of work that waits for its turn that it is held, again and again, and drops it when it is cancelled", async () => {
    await start(testFolder());
    const running = await ask("research", "research.digest", { url: page });
    const answer = await request();
    const [waits, dropped] = [
      await ask("research", "research.digest", { text: "" }, { lease_seconds: 1 }),
      await ask("research", "research.digest", { text: "" }),
    ];
    await until("it has said so four times", () => heard.told(waits, "held").length >= 4);
    await heard.start(dropped);
    await cancel(dropped, 1, await heard.start(dropped));
    await heard.cancelled(dropped);
    answer("done");

    expect((await heard.result(waits)).status).toBe("completed");
    expect(heard.told(running, "held")).toEqual([]);
    expect(heard.results(dropped)).toEqual([]);
  });

  test("asked what has become of work, it says that it lives, or how it ended, after a restart too", async () => {
    const data = testFolder();
    const first = await start(data);
    const running = await ask("research", "research.digest", { url: page });
    const answer = await request();
    const alive = () => heard.told(running, "executing").filter(({ payload }) => payload.step === undefined).length;
    const before = await until("it lives", alive);
    await question(running);
    await until("it says so at once", () => alive() > before);
    answer("a word");
    await heard.result(running);
    const stopped = await ask("research", "research.digest", { url: page });
    await request();
    await cancel(stopped);
    await heard.cancelled(stopped);
    await first.crash();
    await start(data);

    await question(running, 1, await heard.start(running));
    await cancel(stopped, 1);

    await until("the answer is told again", () => heard.results(running).length === 2);
    await until("the stop is told again", () => heard.told(stopped, "cancelled").length === 2);
    expect(heard.results(running)[1]?.payload.start_id).toBe(await heard.start(running));
  });

  test("of two processes the one that does the work is reached by each cancel", async () => {
    await start(testFolder());
    await start(testFolder());
    for (let time = 0; time < 10; time++) {
      const asked = await ask("research", "research.digest", { url: page });
      await request();
      await cancel(asked);
      expect((await heard.cancelled(asked)).payload.start_id).toBe(await heard.start(asked));
    }
  });

  test("a request whose cancel came first never starts, and is confirmed", async () => {
    await start(testFolder());
    const early = { agent: "research", task_id: randomUUID(), request_id: randomUUID(), trace_id: "", message: {} };
    await cancel(early);
    await until("it is heard", async () => (await queues.counts("research")).visible === 0);
    const asked = await ask("research", "research.digest", { url: page }, early);

    await heard.cancelled(asked);
    expect(pages).toEqual([]);
  });

  test("opens what an earlier version has kept, and answers from it", async () => {
    const data = testFolder();
    const request_id = randomUUID();
    const said = JSON.stringify([["work_result", { task_id: randomUUID(), status: "completed" }]]);
    const kept = new DatabaseSync(join(data, "research-python.sqlite"));
    kept.exec("create table answers (request_id text primary key, said text not null)");
    kept.prepare("insert into answers values (?, ?)").run(request_id, said);
    kept.close();
    await start(data);

    const asked = await ask("research", "research.digest", { text: "" }, { request_id, attempt: 4 });

    expect(await heard.result(asked, 4)).toMatchObject({ status: "completed" });
    await question(asked, 4);
    await until("it answers the question", () => heard.results(asked).length === 2);
  });

  test("told to stop, it hands back what it does and gives back what it has not begun", async () => {
    const agent = await start(testFolder());
    const running = await ask("research", "research.digest", { url: page });
    await request();
    const waiting = await ask("research", "research.digest", { text: "later" });
    await until("it has it", async () => (await queues.counts("research")).visible === 0);

    expect(await agent.stop()).toEqual({ code: 0, signal: null });

    expect((await heard.handedBack(running)).payload).toMatchObject({ task_id: running.task_id, attempt: 1 });
    expect(JSON.parse((await queues.take("research")) ?? "")).toEqual(waiting.message);
    expect((await queues.counts("research")).visible).toBe(0);
  });

  test.for([
    ["not JSON", "not JSON"],
    ["no object", "[1]"],
    ["nested without end", "[".repeat(100_000)],
    ["without a timestamp", JSON.stringify({ ...envelope("research"), timestamp: undefined })],
    ["of a strange type", JSON.stringify({ ...envelope("research"), type: ["work_request"], payload: [] })],
    [
      "for another agent",
      JSON.stringify({
        ...envelope("code"),
        type: "work_status",
        payload: { task_id: randomUUID(), attempt: 1, status: "cancelled" },
      }),
    ],
  ] as const)("a message that is %s goes to the dead letters as it was", async ([, body]) => {
    await start(testFolder());
    await queues.put("research", body);

    const [letter] = await until("it is a dead letter", async () => {
      const letters = await queues.deadLetters("research");
      return letters.length > 0 && letters;
    });

    expect(letter).toBe(body);
  });

  test("without jsonschema it still takes what it can do, and refuses what it would stumble over", async () => {
    const data = testFolder();
    writeFileSync(join(data, "jsonschema.py"), "raise ImportError()");
    await start(data, undefined, { PYTHONPATH: data });
    const wrong = JSON.stringify({ ...envelope("research"), type: "work_request", payload: { attempt: "one" } });
    await queues.put("research", wrong);
    const asked = await ask("research", "research.digest", { text: "one" });

    expect((await heard.result(asked)).metrics).toMatchObject({ words: 1 });
    expect(await queues.deadLetters("research")).toEqual([wrong]);
  });

  test("a request that the control plane has not signed is not done and says so of no work, and all that it says is signed", async () => {
    await start(testFolder());
    const asked = await ask("research", "research.digest", { text: "one" }, { lease_token: "ef".repeat(32) });
    await heard.result(asked);
    const { signature: _, ...unsigned } = asked.message as Record<string, unknown>;
    const ids = [randomUUID(), randomUUID()];
    await queues.put("research", JSON.stringify({ ...unsigned, request_id: ids[0], message_id: ids[0] }));
    await queues.put("research", JSON.stringify({ ...asked.message, request_id: ids[1], message_id: ids[1] }));

    for (const id of ids) {
      const told = await until("it is told", () =>
        heard.heard.find(({ payload }) => "failed_message_id" in payload && payload.failed_message_id === id),
      );
      expect(told).toMatchObject({ type: "error", payload: { error_code: 5008 } });
      expect(told.payload).not.toHaveProperty("task_id");
    }
    expect(heard.heard.filter(({ request_id }) => ids.some((id) => id === request_id))).toEqual([]);
    const key = publicKeyOf(signingKeyOf(agentKey("research")));
    for (const message of heard.of(asked)) {
      expect(message.payload).toMatchObject({ lease_token: "ef".repeat(32) });
      expect(isSignedBy(message, key)).toBe(true);
    }
  });

  test("the keys come from the API, and without one, or without a key of its own, it does not start", async () => {
    const x = identityOf("research").CONTROL_PLANE_KEYS;
    const kid = keyIdOf(Buffer.from(x, "base64url"));
    const api = createServer((_request, response) => response.end(JSON.stringify({ keys: [{ kid, x }] })));
    await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
    const WAYBILL_API_URL = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    await start(testFolder(), undefined, { CONTROL_PLANE_KEYS: "", WAYBILL_API_URL });
    const asked = await ask("research", "research.digest", { text: "one" });
    expect(await heard.result(asked)).toMatchObject({ status: "completed" });
    api.closeAllConnections();
    api.close();

    for (const [env, why] of [
      [{ WAYBILL_API_KEY: "" }, /WAYBILL_API_KEY must be a key of this agent/],
      [{ CONTROL_PLANE_KEYS: "" }, /WAYBILL_API_URL must be set, or CONTROL_PLANE_KEYS/],
    ] as const) {
      const agent = await start(testFolder(), undefined, env);
      expect((await agent.exit).code).toBe(1);
      expect(agent.stderr()).toMatch(why);
    }
  });

  test("the sender of a message that cannot be read is told why, and the sender of an error is not", async () => {
    await start(testFolder());
    const { message_id, timestamp: _, ...wrong } = envelope("research");
    await queues.put("research", JSON.stringify({ ...wrong, type: "error" }));
    await queues.put("research", JSON.stringify({ ...wrong, message_id, type: ["work_request"], payload: [] }));

    const told = await until("it is told", () => {
      return heard.heard.find(({ request_id }) => request_id === wrong.request_id);
    });

    expect(told).toMatchObject({ type: "error", payload: { error_code: 5003, failed_message_id: message_id } });
  });
});

describe.skipIf(found === undefined || python === undefined)("the agent in Python behind the bridge", () => {
  const queues = amqpQueues(found);
  const sqs = sqsQueues();
  const db = connect();
  const stopped = new AbortController();
  let bridge: Bridge;
  let recording: Promise<void>;
  beforeAll(async () => {
    const { RABBITMQ_URL = "" } = queues.env("research");
    const agentQueues = { research: agentQueue("research") };
    bridge = await startBridge(bridgeSettings(RABBITMQ_URL, queues.prefix, { agentQueues }));
    recording = sqs.hear((body) => void recordResult(eventOf([body])), stopped.signal);
  });
  afterAll(async () => {
    stopped.abort();
    await recording;
    await bridge.stop();
    await db.end();
  });

  test("work goes from its submission over the bridge to the agent, and its steps, output and result come back", async () => {
    const agent = await spawnProgram([python ?? "", SCRIPT], {
      ...queues.env("research"),
      ...identityOf("research"),
      WAYBILL_AGENT_DATA: testFolder(),
    });
    await knowAgents(db, ["research"]);
    const work = {
      request_text: "digest it",
      work_type: "research.digest",
      parameters: { text: "to be or not to be" },
    };
    const { json } = await call(submitWork, "/work", { body: { ...work, approval: "required" } });
    const params = { task_id: json.task_id as string };
    await call(decideWork, `/work/${params.task_id}/approve`, { params, body: { by: "Ada" } });
    await dispatch(await receive(process.env["WORK_QUEUE_URL"] ?? "", 5));

    const task = await until("it is done and all is told", async () => {
      const answer = (await call(getWork, `/work/${params.task_id}`, { params })).json;
      return answer.status === "completed" && answer.steps.every((step: any) => step.status === "completed") && answer;
    });

    expect(task).toMatchObject({
      approved_by: "Ada",
      actual_resources: { lines: 1, words: 6, characters: 18 },
      steps: [{ action: "read" }, { action: "count", output_summary: "6 words" }],
    });
    const output = await call(getOutput, `/work/${params.task_id}/output`, { params });
    expect(output.text).toBe("2 to\n2 be\n1 or\n1 not\n");
    expect(await agent.stop()).toEqual({ code: 0, signal: null });
  });
});
