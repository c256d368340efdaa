import { writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Message } from "../../lib/protocol/messages.ts";
import { type Asked, type TestAgent, until } from "../support/agents/agent.ts";
import { overBoth } from "../support/queues/transports.ts";

const startOf = ({ payload }: Message) => ("start_id" in payload ? payload.start_id : undefined);
const processOf = ({ payload }: Message) => ("process" in payload ? payload.process : undefined);

// One real agent process with one place.
overBoth((queues, { probes, ask, cancel, question, listen }) => {
  const { folder, done, start: startProbe } = probes();
  const heard = listen();
  let agent: TestAgent;
  const start = async (journal: string, env: NodeJS.ProcessEnv = {}) =>
    await startProbe(journal, { AGENT_CONCURRENCY: "1", ...env });

  beforeAll(async () => {
    agent = await start("first");
  });
  afterAll(async () => {
    await agent.crash();
  });

  /** Work that takes the one place until `free` is called. */
  const takePlace = async (name: string) => {
    const file = join(folder, name);
    const asked = await ask("research", "probe.until", { name, file }, { lease_seconds: 1 });
    await until("the place is taken", () => done(name) === 1);
    return { asked, free: () => writeFileSync(file, "") };
  };
  const held = async (asked: Asked) => await until("it is held", () => heard.told(asked, "held")[0]);

  test("all that is said of one start names it and the process, when it is told again too", async () => {
    const asked = await ask("research", "probe.tell", { name: "one" });
    await heard.result(asked);
    await until("all was told", () => heard.steps(asked).length === 4);
    const { task_id, request_id } = asked;
    await ask("research", "probe.tell", { name: "one" }, { task_id, request_id, attempt: 2 });
    await heard.result(asked, 2);
    await until("all is told again", () => heard.steps(asked, 2).length === 4);

    expect(new Set(heard.of(asked).map(startOf))).toEqual(new Set([await heard.start(asked)]));
    expect(await heard.start(asked)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(new Set(heard.of(asked).map(processOf))).toEqual(new Set([`${hostname()}:${agent.child.pid}`]));
    expect(heard.told(asked, "held")).toEqual([]);
  });

  test("an attempt that starts from nothing is another start", async () => {
    const asked = await ask("research", "probe.retry", { name: "retry" });
    await heard.result(asked);
    const { task_id, request_id } = asked;
    await ask("research", "probe.retry", { name: "retry" }, { task_id, request_id, attempt: 2 });
    await heard.result(asked, 2);

    expect(new Set(heard.results(asked).map(startOf)).size).toBe(2);
  });

  test("work that waits for its turn says so at once and three times a lease, until it starts", async () => {
    const { asked: first, free } = await takePlace("holder");
    const waits = await ask("research", "probe.tell", { name: "waits" }, { lease_seconds: 1 });
    await until("it has said so four times", () => heard.told(waits, "held").length >= 4);
    expect(done("waits")).toBe(0);
    free();
    await heard.result(waits);

    expect((await heard.result(first)).status).toBe("completed");
    expect(heard.told(first, "held")).toEqual([]);
    expect(new Set(heard.of(waits).map(startOf)).size).toBe(1);
    const after = heard.told(waits, "held").length;
    const sentinel = await ask("research", "probe.tell", { name: "sentinel" });
    await heard.result(sentinel);
    expect(heard.told(waits, "held").length).toBe(after);
  });

  test("held work takes a later attempt under the same start, and says so at once", async () => {
    const { free } = await takePlace("before");
    const waits = await ask("research", "probe.tell", { name: "later" });
    await held(waits);
    const { task_id, request_id } = waits;
    await ask("research", "probe.tell", { name: "later" }, { task_id, request_id, attempt: 2 });
    await until("it is held as attempt 2", () => heard.told(waits, "held", 2)[0]);
    free();
    await heard.result(waits, 2);

    expect(new Set(heard.of(waits).map(startOf)).size).toBe(1);
    expect(done("later")).toBe(1);
  });

  test("a stop is confirmed when it is real, as the last word: of running work and of held work", async () => {
    const { asked: runs } = await takePlace("runs");
    const waits = await ask("research", "probe.tell", { name: "never" });
    await held(waits);

    await cancel(waits);
    await heard.cancelled(waits);
    await until("it has told its output", () => heard.output(runs).length > 0);
    await cancel(runs);
    await heard.cancelled(runs);

    const all = heard
      .statuses(runs)
      .filter(({ payload }) => payload.step !== undefined || payload.status === "cancelled");
    expect(all.at(-1)?.payload).toMatchObject({ status: "cancelled", attempt: 1, start_id: await heard.start(runs) });
    expect(all.at(-2)?.payload).toMatchObject({ step: { status: "failed", summary: "cancelled" } });
    expect(heard.told(waits, "cancelled")[0]?.payload).toMatchObject({ start_id: await heard.start(waits) });
    expect(done("never")).toBe(0);
    expect([...heard.results(runs), ...heard.results(waits)]).toEqual([]);
  });

  test("work that does not listen to its cancel is confirmed when it is left to itself", async () => {
    const deaf = await ask("research", "probe.deaf", { name: "deaf" });
    await until("it runs", () => done("deaf") === 1);
    await cancel(deaf);

    expect((await heard.cancelled(deaf)).payload.start_id).toBe(await heard.start(deaf));
  });

  test("work that ran to its end in spite of its cancel says that it is completed", async () => {
    const stubborn = await ask("research", "probe.stubborn", { name: "stubborn" });
    await until("it runs", () => done("stubborn") === 1);
    await cancel(stubborn);

    expect((await heard.result(stubborn)).status).toBe("completed");
    expect(heard.told(stubborn, "cancelled")).toEqual([]);
  });

  test("a cancel of another start stops nothing, one of this start does", async () => {
    const { asked } = await takePlace("named");
    await cancel(asked, 1, crypto.randomUUID());
    await until("it is dealt with", async () => {
      const { visible, lent = 1 } = await queues.counts("research");
      return visible === 0 && lent === 1;
    });
    expect(heard.told(asked, "cancelled")).toEqual([]);

    await cancel(asked, 1, await heard.start(asked));
    await heard.cancelled(asked);
  });

  test("a cancel of an attempt that has become a later one stops nothing", async () => {
    const { asked, free } = await takePlace("risen");
    const { task_id, request_id } = asked;
    await ask("research", "probe.until", {}, { task_id, request_id, attempt: 2 });
    await until("it says so", () => heard.statuses(asked).some(({ payload }) => payload.attempt === 2));
    await cancel(asked, 1, await heard.start(asked));
    await cancel(asked, 1);
    free();

    expect((await heard.result(asked, 2)).status).toBe("completed");
  });

  test("a request whose cancel came first never starts, and is confirmed", async () => {
    const early = { agent: "research", task_id: crypto.randomUUID(), request_id: crypto.randomUUID() };
    await cancel({ ...early, trace_id: "", message: {} });
    await until("the cancel is heard", async () => {
      const { visible, lent = 0 } = await queues.counts("research");
      return visible + lent === 0;
    });
    const { task_id, request_id } = early;
    const asked = await ask("research", "probe.tell", { name: "too late" }, { task_id, request_id });

    await heard.cancelled(asked);
    expect(done("too late")).toBe(0);
  });

  test("asked what has become of work, an agent says that it waits, that it runs, and how it ended", async () => {
    const { asked: runs, free } = await takePlace("asked");
    const waits = await ask("research", "probe.tell", { name: "asked too" });
    await held(waits);
    const ended = await ask("research", "probe.retry", { name: "asked too" });
    const beats = () => heard.told(runs, "executing").filter(({ payload }) => payload.step === undefined).length;
    const [before, ofWaiting] = [beats(), heard.told(waits, "held").length];

    await question(waits);
    await question(runs, 1, await heard.start(runs));
    await until("it has said that it waits", () => heard.told(waits, "held").length > ofWaiting);
    await until("it has said that it runs", () => beats() > before);
    free();
    for (const each of [runs, waits, ended]) await heard.result(each);
    for (const each of [runs, waits, ended]) await question(each);

    for (const each of [runs, waits, ended])
      await until("it tells its end again", () => heard.results(each).length > 1);
    const [one, two] = heard.results(ended);
    expect(two?.payload).toEqual(one?.payload);
    expect(two?.message_id).not.toBe(one?.message_id);
  });

  test("cancelled when it has ended, work says again how: its result, or that it was stopped", async () => {
    const completed = await ask("research", "probe.tell", { name: "over" });
    await heard.result(completed);
    const { asked: stopped } = await takePlace("over too");
    await cancel(stopped);
    await heard.cancelled(stopped);

    await cancel(completed, 1, await heard.start(completed));
    await cancel(stopped, 1, await heard.start(stopped));

    await until("the result is told again", () => heard.results(completed).length === 2);
    await until("the stop is told again", () => heard.told(stopped, "cancelled").length === 2);
    expect(heard.told(stopped, "cancelled").map(startOf)).toEqual(Array(2).fill(await heard.start(stopped)));
  });

  test("the failure of a start that was killed names that start; its request is another start", async () => {
    const second = await start("killed", { AGENT_CONCURRENCY: "8" });
    await agent.stop();
    const parameters = { name: "killed", file: join(folder, "killed") };
    const asked = await ask("research", "probe.until", parameters);
    await until("it has told its output", () => heard.output(asked).length > 0);
    await second.crash();
    agent = await start("killed");
    await heard.result(asked);

    expect(heard.results(asked).map(startOf)).toEqual([await heard.start(asked)]);
    writeFileSync(parameters.file, "");
    const { task_id, request_id } = asked;
    await ask("research", "probe.until", parameters, { task_id, request_id, attempt: 2 });
    await heard.result(asked, 2);
    expect(new Set(heard.results(asked).map(startOf)).size).toBe(2);
  });
});
