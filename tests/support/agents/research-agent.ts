import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { runAgent } from "../../../lib/agent-kit/agent.ts";
import { defineWork } from "../../../lib/agent-kit/define-work.ts";

// An agent for tests, which nothing starts again: research.read takes as long as it is told and says one line.
const Read = z.strictObject({ seconds: z.number() });

await runAgent({
  name: "research",
  work: {
    "research.read": defineWork(Read, async ({ seconds }, { signal, step }) => {
      return await step("read", async ({ write }) => {
        await sleep(seconds * 1000, undefined, { signal });
        write("read once\n");
        return {};
      });
    }),
  },
});
