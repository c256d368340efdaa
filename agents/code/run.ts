import * as z from "zod";
import { defineWork, type Outcome, type Work } from "../../lib/agent-kit/define-work.ts";
import { clipStart } from "../../lib/agent-kit/text.ts";
import { runCommand } from "./command.ts";
import type { Rules } from "./env.ts";
import { checkArguments, resolveCommand, resolveFolder } from "./rules.ts";

const CodeRun = z.strictObject({
  command: z.string().min(1).describe("a bare name on the list"),
  args: z.array(z.string()).max(10_000).default([]),
  cwd: z.string().min(1).optional().describe("inside an allowed folder; relative to the first of them"),
  timeout_seconds: z.number().positive().max(86_400).optional(),
});

/** code.run: one command without a shell, its stdout and stderr streamed byte for byte as they come. */
export function codeRun(rules: Rules): Work {
  return defineWork(CodeRun, async ({ command, args, cwd, timeout_seconds }, { signal, step }): Promise<Outcome> => {
    const file = resolveCommand(command, rules);
    const folder = resolveFolder(cwd, rules);
    checkArguments(command, args, folder, rules);
    return await step([command, ...args].join(" "), async ({ write, fail, summary }) => {
      const ended = await runCommand({ file, args, cwd: folder, timeout_seconds, signal, rules, write });
      const metrics = { stdout_bytes: ended.stdoutBytes, stderr_bytes: ended.stderrBytes };
      if (ended.exitCode === 0 && ended.stopped === undefined) {
        summary(clipStart(ended.stdoutEnd, 500));
        return { exit_code: 0, metrics };
      }
      signal.throwIfAborted();
      const exit = ended.signal === undefined ? `exit code ${ended.exitCode}` : `ended by ${ended.signal}`;
      const said = ended.stderrEnd || ended.stdoutEnd;
      const reason = ended.stopped ?? clipStart(said === "" ? exit : `${exit}: ${said}`, 2000);
      fail(reason);
      return { status: "failed", exit_code: ended.exitCode, error: reason, metrics };
    });
  });
}
