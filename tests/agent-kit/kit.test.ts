import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseMessage } from "../../lib/protocol/messages.ts";
import { effectsIn, envelope, type TestAgent, testFolder, until } from "../support/agents/agent.ts";
import { overBoth } from "../support/queues/transports.ts";
import { anyBytes, anyText } from "./fixtures/bytes.ts";

const PROBE = "tests/agent-kit/fixtures/probe.ts";

/** What the probe throws and returns, and what is to be read of it. */
const ODD = [
  ["circle", "[Circular"],
  ["bigint", "10n"],
  ["message that is an object", "{ a: 1 }"],
  ["name that is an object", "{ b: 2 }"],
  ["an error", "in an error"],
  ["symbol", "Symbol(s)"],
  ["revoked proxy", "Revoked Proxy"],
  ["getter that throws", "trap"],
  ["toJSON that throws", "toJSON"],
  ["no prototype", '{"a":1}'],
] as const;

// One real agent process with two places does everything that this file asks for.
overBoth((queues, { spawnAgent, ask, cancel, listen }) => {
  const folder = testFolder();
  const { file: effects, done } = effectsIn(folder);
  const fileNamed = (name: string) => join(folder, name);
  const heard = listen();
  let agent: TestAgent;

  beforeAll(async () => {
    agent = await spawnAgent(PROBE, "research", {
      EFFECTS: effects,
      WAYBILL_AGENT_DATA: folder,
      AGENT_CONCURRENCY: "2",
    });
  });
  afterAll(async () => {
    await agent.crash();
  });

  test("steps, output, progress and the result are told, each message following the protocol", async () => {
    const asked = await ask(
      "research",
      "probe.tell",
      { name: "tell" },
      { x_custom_fields: { a: [1] }, hints: { h: 1 } },
    );

    const result = await heard.result(asked);

    expect(result).toMatchObject({
      task_id: asked.task_id,
      status: "completed",
      exit_code: 0,
      metrics: { doubled: 42, asked: "please", hints: { h: 1 }, steps: 2, output_bytes: 13 },
      external_ai_used: { model: "m", tokens: 3, cost: 0.5 },
    });
    expect(result.metrics?.["duration_ms"]).toBeTypeOf("number");
    const ends = await until("both steps have ended", () => {
      const ended = heard.steps(asked).filter(({ status }) => status !== "running");
      return ended.length === 2 && ended.toSorted((a, b) => a.step_number - b.step_number);
    });
    expect(ends).toMatchObject([
      { step_number: 1, action: "first", status: "completed", summary: "hello wörld" },
      { step_number: 2, action: "second", status: "completed", summary: "got 42" },
    ]);
    expect(heard.output(asked).toString()).toBe("hello wörld\n");
    for (const message of heard.of(asked)) {
      expect(parseMessage(JSON.stringify(message)).ok).toBe(true);
      expect(message).toMatchObject({
        from_agent: "research",
        to_agent: "orchestrator",
        trace_id: asked.trace_id,
        x_custom_fields: { a: [1] },
      });
    }
  });

  test("a thrown error becomes a failed step and a failed result with its message", async () => {
    const asked = await ask("research", "probe.throw", { name: "throw" });

    const result = await heard.result(asked);

    expect(result).toMatchObject({ status: "failed", error_message: "it is␀ broken" });
    expect(result.retryable).toBeUndefined();
    expect(heard.steps(asked).find(({ status }) => status === "failed")?.summary).toBe("it is␀ broken");
  });

  test.each(
    ["probe.throwOdd", "probe.returnOdd"].flatMap((workType) =>
      ODD.map(([kind, said]) => [workType, kind, said] as const),
    ),
  )("%s, %s: one start, one failed result that says what it was, and every step ends", async (workType, kind, said) => {
    const name = `${workType} ${kind}`;
    const asked = await ask("research", workType, { name, kind });

    const { status, error_message } = await heard.result(asked);

    expect([status, error_message]).toEqual(["failed", expect.stringContaining(said)]);
    expect(done(name)).toBe(1);
    expect(heard.steps(asked).map((step) => step.status === "running")).toEqual([true, false]);
  });

  test.each(["circle", "bigint", "revoked proxy", "getter that throws", "toJSON that throws"])(
    "metrics that are a %s are a failed result that says so",
    async (kind) => {
      const asked = await ask("research", "probe.measureOdd", { name: `measure ${kind}`, kind });

      const { status, error_message } = await heard.result(asked);

      expect([status, error_message]).toEqual(["failed", expect.stringContaining("own result cannot be sent")]);
      expect(done(`measure ${kind}`)).toBe(1);
    },
  );

  test("what a schema of the author's throws is a failed result", async () => {
    const asked = await ask("research", "probe.prepareOdd", { name: "prepare" });

    expect(await heard.result(asked)).toMatchObject({
      status: "failed",
      error_message: expect.stringContaining("self"),
    });
  });

  test("an unknown work_type is a failed result of code 5002 that names the known ones", async () => {
    const asked = await ask("research", "constructor", {});

    const { status, error_message } = await heard.result(asked);

    expect(status).toBe("failed");
    expect(error_message).toMatch(/^5002 unknown_work_type: .*"constructor".*probe\.tell, probe\.throw/);
  });

  test("parameters that the schema refuses are a failed result of code 5004 that names the fields", async () => {
    const asked = await ask("research", "probe.tell", { nmae: 1 });

    const { status, error_message } = await heard.result(asked);

    expect(status).toBe("failed");
    expect(error_message).toMatch(/^5004 invalid_parameters: name is missing.*; nmae is not a known field$/);
  });

  test("a result that no queue can carry becomes a failed result that says so", async () => {
    const asked = await ask("research", "probe.unsendable", { name: "unsendable" });

    const { status, error_message } = await heard.result(asked);

    expect(status).toBe("failed");
    expect(error_message).toMatch(/own result cannot be sent: .*metrics\.text has a NUL/);
  });

  test("work that is passed on tells its steps, its role and the handover, and is done afresh when it comes back", async () => {
    const asked = await ask("research", "probe.pass", { name: "pass", size: 3 });
    const passed = await heard.handedBack(asked);

    expect(passed.payload.handover).toEqual({ to_agent: "code", reason: "it is code", context: { found: "xxx" } });
    const roles = await until("the role is told", () => {
      const told = heard.statuses(asked).flatMap(({ payload }) => payload.role ?? []);
      return told.length > 0 && told;
    });
    expect(roles).toEqual([{ name: "scout", reason: "after nobody" }]);
    expect(heard.results(asked)).toEqual([]);
    const handover = { from_agent: "code", reason: "it is not", context: {} };
    const { request_id, task_id } = asked;
    await ask("research", "probe.pass", { name: "pass" }, { request_id, task_id, attempt: 2, handover });

    await heard.handedBack(asked, 2);
    expect(done("pass")).toBe(2);
    expect(heard.statuses(asked).flatMap(({ payload }) => payload.role?.reason ?? [])).toContain("after code");
  });

  test("a handover that no queue can carry becomes a failed result that says so", async () => {
    const asked = await ask("research", "probe.pass", { name: "heavy", size: 1_100_000 });

    const result = await heard.result(asked);

    expect(result).toMatchObject({ status: "failed" });
    expect(result.error_message).toContain("handover cannot be sent");
  });

  test("three megabytes of any bytes arrive byte for byte, in chunks below the queue's limit", async () => {
    const parameters = { seed: "x", size: 3_000_000, piece: 70_001, text: false };
    const asked = await ask("research", "probe.output", parameters);

    const result = await heard.result(asked);

    expect(result.metrics?.["output_bytes"]).toBe(3_000_000);
    await until("all output is there", () => heard.output(asked).length === 3_000_000);
    expect(heard.output(asked).equals(anyBytes("x", 3_000_000))).toBe(true);
  });

  test("text stays text: no chunk ends within a character", async () => {
    const bytes = anyText(500_000);
    const asked = await ask("research", "probe.output", { seed: "", size: 500_000, piece: 9_999, text: true });

    await heard.result(asked);
    await until("all output is there", () => heard.output(asked).length === bytes.length);

    expect(heard.output(asked).equals(bytes)).toBe(true);
    const encodings = heard.steps(asked).flatMap(({ output }) => output?.encoding ?? []);
    expect(new Set(encodings)).toEqual(new Set(["utf8"]));
  });

  test("finished work that is asked for again is answered from the journal under the new attempt, and not done again", async () => {
    const asked = await ask("research", "probe.tell", { name: "again" });
    await heard.result(asked);
    await until("everything was told", () => heard.steps(asked).length === 4);

    const { task_id, request_id } = asked;
    await ask("research", "probe.tell", { name: "again" }, { task_id, request_id, attempt: 2 });
    const second = await heard.result(asked, 2);
    await until("everything is told again", () => heard.steps(asked, 2).length === 4);

    const first = await heard.result(asked, 1);
    expect({ ...second, attempt: 1 }).toEqual(first);
    expect(heard.output(asked, 2)).toEqual(heard.output(asked, 1));
    const ids = heard.of(asked).map(({ message_id }) => message_id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(done("again")).toBe(1);
  });

  test("busy work takes the later attempt, tells everything under it, and is not done twice", async () => {
    const parameters = { name: "busy", file: fileNamed("busy") };
    const asked = await ask("research", "probe.until", parameters);
    await until("it has told its first output", () => heard.output(asked).length > 0);

    const { task_id, request_id } = asked;
    await ask("research", "probe.until", parameters, { task_id, request_id, attempt: 3 });
    await until("its output is told again", () => heard.output(asked, 3).length > 0);
    await ask("research", "probe.until", parameters, { task_id, request_id, attempt: 2 });
    writeFileSync(parameters.file, "");
    const result = await heard.result(asked, 3);

    expect(result.status).toBe("completed");
    await until("the rest is told", () => heard.output(asked, 3).toString() === "busy waits\nbusy goes on\n");
    expect(heard.results(asked).map(({ payload }) => payload.attempt)).toEqual([3]);
    expect(done("busy")).toBe(1);
  });

  test("a retryable failure is no answer to the next attempt: that does the work again", async () => {
    const asked = await ask("research", "probe.retry", { name: "retry" });
    expect(await heard.result(asked)).toMatchObject({ status: "failed", retryable: true, exit_code: 75 });

    const { task_id, request_id } = asked;
    await ask("research", "probe.retry", { name: "retry" }, { task_id, request_id, attempt: 2 });

    expect(await heard.result(asked, 2)).toMatchObject({ status: "failed", error_message: "not now" });
    expect(done("retry")).toBe(2);
  });

  test("cancelled work is stopped and says no result; work that waits for a place never starts", async () => {
    const parameters = (name: string) => ({ name, file: fileNamed("never") });
    const running = await ask("research", "probe.until", parameters("cancelled 1"));
    const running2 = await ask("research", "probe.until", parameters("cancelled 2"));
    await until("both places are taken", () => done("cancelled 1") + done("cancelled 2") === 2);
    const waiting = await ask("research", "probe.until", parameters("waiting"));
    await until("the third is held back", async () => {
      const { visible, lent = 3 } = await queues.counts("research");
      return visible === 0 && lent === 3;
    });

    await cancel(waiting);
    await cancel(running);
    await cancel(running2);
    const sentinel = await ask("research", "probe.tell", { name: "sentinel" });
    await heard.result(sentinel);

    for (const asked of [running, running2]) {
      const ended = await until("its step has ended", () =>
        heard.steps(asked).find(({ status }) => status === "failed"),
      );
      expect(ended.summary).toBe("cancelled");
      expect(heard.results(asked)).toEqual([]);
    }
    await heard.cancelled(waiting);
    expect(heard.told(waiting, "executing")).toEqual([]);
    expect(done("waiting")).toBe(0);
  });

  test("work whose cancel came first never starts, a later attempt of it does", async () => {
    const early = { agent: "research", task_id: crypto.randomUUID(), request_id: crypto.randomUUID() };
    await cancel({ ...early, trace_id: "", message: {} }, 2);
    await until("the cancel is heard", async () => {
      const { visible, lent = 0 } = await queues.counts("research");
      return visible + lent === 0;
    });

    const { task_id, request_id } = early;
    await ask("research", "probe.tell", { name: "late" }, { task_id, request_id, attempt: 2 });
    const asked = await ask("research", "probe.tell", { name: "later" }, { task_id, request_id, attempt: 3 });
    await heard.result(asked, 3);

    expect(done("late")).toBe(0);
    expect(done("later")).toBe(1);
  });

  test("work that takes too long is stopped, even where it does not listen, and its place is free again", async () => {
    const deaf = await ask("research", "probe.deaf", { name: "deaf" }, { timeout_seconds: 1 });
    const late = await ask(
      "research",
      "probe.until",
      { name: "late", file: fileNamed("never") },
      { timeout_seconds: 1 },
    );

    for (const asked of [deaf, late]) {
      const result = await heard.result(asked);
      expect(result.status).toBe("failed");
      expect(result.error_message).toBe("5006 timed_out: timed out after 1 s");
      expect(heard.steps(asked).find(({ status }) => status === "failed")?.summary).toContain("timed out after 1 s");
    }
    const after = await ask("research", "probe.tell", { name: "after" });
    expect((await heard.result(after)).status).toBe("completed");
  });

  test("running work renews its lease three times a lease, and keeps its message from others", async () => {
    const parameters = { name: "long", file: fileNamed("long") };
    const asked = await ask("research", "probe.silent", parameters, { lease_seconds: 1 });

    // Seven thirds of a second and the first one at once; the message would be visible again after two seconds.
    await until("it has told eight times that it lives", () => heard.statuses(asked).length >= 8);
    writeFileSync(parameters.file, "");
    await heard.result(asked);

    const times = heard.statuses(asked).map(({ timestamp }) => Date.parse(timestamp));
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(2000);
    expect(done("long")).toBe(1);
  });

  test("a message that does not follow the protocol is answered once with 5003 and ends in the dead letter queue as it was", async () => {
    const wrong = { ...envelope("research"), type: "work_request", payload: { task_id: crypto.randomUUID() } };
    const stray = {
      ...envelope("infra"),
      type: "work_status",
      payload: { ...wrong.payload, attempt: 1, status: "cancelled" },
    };
    await queues.put("research", JSON.stringify(wrong));
    await queues.put("research", JSON.stringify(stray));
    await queues.put("research", "not JSON at all");

    const letters = new Set<string>();
    await until("all three are dead letters", async () => {
      for (const letter of await queues.deadLetters("research")) letters.add(letter);
      return letters.size === 3;
    });

    expect(letters).toEqual(new Set([JSON.stringify(wrong), JSON.stringify(stray), "not JSON at all"]));
    const errors = heard.heard.filter(({ type }) => type === "error");
    expect(errors.map(({ request_id }) => request_id).toSorted()).toEqual(
      [wrong.request_id, stray.request_id].toSorted(),
    );
    expect(errors.find(({ request_id }) => request_id === wrong.request_id)?.payload).toMatchObject({
      error_code: 5003,
      failed_message_id: wrong.message_id,
      task_id: wrong.payload.task_id,
    });
  });

  test("custom fields that would not fit beside a chunk of output are left out, and the output comes", async () => {
    const parameters = { seed: "c", size: 200_000, piece: 200_000, text: false };
    const asked = await ask("research", "probe.output", parameters, { x_custom_fields: { text: "x".repeat(900_000) } });

    expect((await heard.result(asked)).status).toBe("completed");
    await until("all output is there", () => heard.output(asked).equals(anyBytes("c", 200_000)));
    expect(heard.of(asked).every((message) => message.x_custom_fields === undefined)).toBe(true);
  });
});
