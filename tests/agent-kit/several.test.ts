import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, test, vi } from "vitest";
import { type Asked, effectsIn, type TestAgent, testFolder, until } from "../support/agents/agent.ts";
import { overBoth } from "../support/queues/transports.ts";

const PROBE = "tests/agent-kit/fixtures/probe.ts";

vi.setConfig({ testTimeout: 120_000 });

// Several real processes of one agent on one queue, each with a journal of its own.
overBoth((queues, { spawnAgent, ask, cancel, question, listen }) => {
  const folder = testFolder();
  const { file: effects, done } = effectsIn(folder);
  const heard = listen();
  const own = (journal: string) => ({ EFFECTS: effects, WAYBILL_AGENT_DATA: join(folder, "journals", journal) });
  const start = async (name: string, count: number, env: NodeJS.ProcessEnv = {}): Promise<TestAgent[]> => {
    const numbers = Array.from({ length: count }, (_, number) => number);
    return await Promise.all(
      numbers.map((number) => spawnAgent(PROBE, "research", { ...own(`${name} ${number}`), ...env })),
    );
  };
  const crash = async (agents: TestAgent[]) => void (await Promise.all(agents.map((agent) => agent.crash())));
  const begun = async (asked: Asked) =>
    await until("it runs", () => heard.told(asked, "executing").some(({ payload }) => payload.step !== undefined));
  const askMany = async (name: string, count: number) => {
    const all: Asked[] = [];
    for (let at = 0; at < count; at++) {
      all.push(await ask("research", "probe.until", { name: `${name} ${at}`, file: join(folder, name) }));
    }
    for (const asked of all) await begun(asked);
    return all;
  };

  beforeEach(async () => {
    await queues.empty("research");
  });

  test.each([2, 3])(
    "of %i processes the one that holds the work is reached by its cancel, each of twelve times",
    async (count) => {
      const agents = await start(`cancel ${count}`, count, { AGENT_CONCURRENCY: "12" });
      const all = await askMany(`cancel ${count}`, 12);

      for (const [at, asked] of all.entries()) {
        await cancel(asked, 1, at % 2 === 0 ? await heard.start(asked) : undefined);
        await heard.cancelled(asked);
      }

      expect(all.flatMap((asked) => heard.results(asked))).toEqual([]);
      await crash(agents);
    },
  );

  test("a busy process is reached past free ones, by a cancel and by a question, of what it does and what waits", async () => {
    const [busy] = await start("busy", 1, { AGENT_CONCURRENCY: "1" });
    const [runs] = (await askMany("busy", 1)) as [Asked];
    const waits = await ask("research", "probe.tell", { name: "waits" });
    await until("it is held", () => heard.told(waits, "held")[0]);
    const free = await start("free", 2);

    const before = heard.told(waits, "held").length;
    await question(waits);
    await until("it says that it waits", () => heard.told(waits, "held").length > before);
    await cancel(waits);
    await heard.cancelled(waits);
    await cancel(runs);
    await heard.cancelled(runs);

    expect(done("waits")).toBe(0);
    await crash([...free, ...(busy === undefined ? [] : [busy])]);
  });

  test("the process that has answered tells its answer again, whichever is asked", async () => {
    const agents = await start("answers", 3);
    const all: Asked[] = [];
    for (let at = 0; at < 4; at++) all.push(await ask("research", "probe.tell", { name: `answers ${at}` }));
    for (const asked of all) await heard.result(asked);

    for (const asked of all) {
      await question(asked);
      await until("it is told again", () => heard.results(asked).length === 2);
    }
    expect(done("answers 0")).toBe(1);
    await crash(agents);
  });

  test("one attempt that two processes do is two starts; one is stopped, the other completes", async () => {
    const one = await start("twice one", 1, { AGENT_CONCURRENCY: "1" });
    const [asked] = (await askMany("twice", 1)) as [Asked];
    const first = await heard.start(asked);
    // Its message is lent to another as well, as by a queue that gives it twice.
    for (const agent of one) agent.child.kill("SIGSTOP");
    const other = await start("twice other", 1);
    const starts = () => [...new Set(heard.statuses(asked).map(({ payload }) => payload.start_id))];
    await until("two do it", async () => {
      // Again and again: the first may go to the one that stands still, before the other listens.
      await queues.put("research", JSON.stringify(asked.message));
      await sleep(300);
      return starts().length === 2;
    });
    for (const agent of one) agent.child.kill("SIGCONT");

    await cancel(asked, 1, first);
    await heard.cancelled(asked);
    writeFileSync(join(folder, "twice"), "");

    expect((await heard.result(asked)).start_id).toBe(starts()[1]);
    expect(heard.told(asked, "cancelled").map(({ payload }) => payload.start_id)).toEqual([first]);
    await crash([...one, ...other]);
  });

  test("what no process knows is forgotten, and never a dead letter", async () => {
    const agents = await start("nobody", 2);
    const unknown = { agent: "research", task_id: crypto.randomUUID(), request_id: crypto.randomUUID() };
    await cancel({ ...unknown, trace_id: "", message: {} }, 1, crypto.randomUUID());
    await question({ ...unknown, trace_id: "", message: {} });

    await until("both are gone", idle);
    expect(await queues.deadLetters("research")).toEqual([]);
    await crash(agents);
  });

  /** Whether the queue has nothing to give and, where it tells, has lent nothing but the one request that is being done. */
  async function idle(): Promise<boolean> {
    const { visible, lent = 0 } = await queues.counts("research");
    return visible === 0 && lent <= 2;
  }
});
