import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { expect, test, vi } from "vitest";
import * as z from "zod";
import { type Agent, startAgent } from "../../lib/agent-kit/agent.ts";
import { defineWork } from "../../lib/agent-kit/define-work.ts";
import { readAgentEnv } from "../../lib/agent-kit/transports/env.ts";
import { log } from "../../lib/runtime/log.ts";
import { testFolder, until } from "../support/agents/agent.ts";
import { identityOf } from "../support/agents/keys.ts";
import { breakReading } from "../support/agents/unreadable.ts";
import { overBoth } from "../support/queues/transports.ts";

const opened = vi.hoisted(() => [] as DatabaseSync[]);
vi.mock(import("../../lib/agent-kit/journal/file.ts"), async (original) => {
  const file = await original();
  const openDatabase = (path: string) => {
    const db = file.openDatabase(path);
    opened.push(db);
    return db;
  };
  return { ...file, openDatabase };
});
vi.setConfig({ testTimeout: 60_000 });

const LINE = "x".repeat(1000);

overBoth((queues, { ask, listen }) => {
  const heard = listen();

  /** An agent whose first work waits until it is let go, and what is known of it. */
  const start = () => {
    let free = () => {};
    const freed = new Promise<void>((resolve) => (free = resolve));
    const begun: string[] = [];
    const work = defineWork(z.strictObject({ name: z.string() }), async ({ name }, { step }) => {
      begun.push(name);
      await step("writes", async ({ write }) => {
        if (name === "first") await freed;
        for (let line = 0; line < 400; line++) write(LINE);
      });
    });
    const folder = testFolder();
    const env = { ...process.env, ...queues.env("research"), ...identityOf("research"), WAYBILL_AGENT_DATA: folder };
    const settings = readAgentEnv(1, { ...env, AGENT_POLL_SECONDS: "1", AGENT_VISIBILITY_SECONDS: "30" });
    const agent: Agent = startAgent({ name: "research", work: { "disk.fill": work } }, settings);
    return { agent, begun, free, disk: opened.at(-1) as DatabaseSync, file: join(folder, "research.sqlite") };
  };

  test("with a full disk what runs is done and told, and nothing new is taken, until there is room again", async () => {
    const { agent, begun, free, disk } = start();
    const first = await ask("research", "disk.fill", { name: "first" });
    const waits = await ask("research", "disk.fill", { name: "waits" });
    await until("one runs", () => begun.length === 1);
    await until("one waits", () => heard.told(waits, "held")[0]);

    disk.exec("pragma max_page_count = 1");
    free();
    expect((await heard.result(first)).status).toBe("completed");
    await until("all output is there", () => heard.output(first).length === 400_000);
    const next = await ask("research", "disk.fill", { name: "next" });
    await until("both can be had by others", async () => (await queues.counts("research")).visible === 2);
    expect(begun).toEqual(["first"]);

    disk.exec("pragma max_page_count = 1000000");
    for (const asked of [waits, next]) expect((await heard.result(asked)).status).toBe("completed");
    expect(begun.toSorted()).toEqual(["first", "next", "waits"]);
    agent.stop();
    await agent.stopped;
    expect(await queues.deadLetters("research")).toEqual([]);
  });

  test("with a disk that cannot be read nothing is answered: all goes back, and is done when it can be read again", async () => {
    const said = vi.spyOn(log, "error");
    const { agent, begun, free, disk, file } = start();
    const first = await ask("research", "disk.fill", { name: "first" });
    const waits = await ask("research", "disk.fill", { name: "waits" });
    await until("one runs", () => heard.told(first, "executing").some(({ payload }) => payload.step !== undefined));
    await until("one waits", () => heard.told(waits, "held")[0]);

    const mend = breakReading(disk, file);
    free();
    await until("both can be had by others", async () => (await queues.counts("research")).visible === 2);
    const next = await ask("research", "disk.fill", { name: "next" });
    await until("it is not taken", async () => (await queues.counts("research")).visible === 3);
    expect([begun, [first, waits, next].flatMap((asked) => heard.results(asked))]).toEqual([["first"], []]);
    expect(said.mock.calls).toContainEqual(["journal not writable", expect.objectContaining({ file })]);

    mend();
    for (const asked of [first, waits, next]) expect((await heard.result(asked)).status).toBe("completed");
    expect(begun.toSorted()).toEqual(["first", "first", "next", "waits"]);
    agent.stop();
    await agent.stopped;
    expect(await queues.deadLetters("research")).toEqual([]);
    said.mockRestore();
  });
});
