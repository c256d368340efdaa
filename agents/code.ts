import { runAgent } from "../lib/agent-kit/agent.ts";
import { readCodeEnv } from "./code/env.ts";
import { codeInspect } from "./code/inspect.ts";
import { codeRun } from "./code/run.ts";

// The agent `code`: runs allow-listed commands in allowed folders, and looks through source folders.
const rules = readCodeEnv();
await runAgent({
  name: "code",
  definition: new URL("code.yaml", import.meta.url),
  work: { "code.run": codeRun(rules), "code.inspect": codeInspect(rules) },
});
