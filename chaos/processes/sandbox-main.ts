// What Lambda's sandbox is to a function: a process that loads entry points when they are first called, and answers calls.
import { createRequire } from "node:module";
import { join } from "node:path";
import { contextOf } from "../../localstack/functions/local-functions.ts";
import type { FunctionOf } from "./functions.ts";

export type Invocation = { id: number; fn: FunctionOf; event: unknown };
export type Invoked = { id: number; answer?: unknown; error?: string };

type Handler = (event: unknown, context: unknown) => Promise<unknown>;

const root = process.env["CHAOS_ROOT"] ?? "";
const load = createRequire(join(root, "package.json"));

process.on("message", (message) => {
  if ("event" in (message as object)) void answer(message as Invocation);
});
// What was loaded before has taken that back; here it is what the process lives for.
process.channel?.ref();

async function answer({ id, fn, event }: Invocation): Promise<void> {
  try {
    const { handler } = load(join(root, fn.file)) as { handler: Handler };
    tell({ id, answer: await handler(event, contextOf(fn.name, fn.timeoutMs)) });
  } catch (error) {
    tell({ id, error: error instanceof Error ? error.message : String(error) });
  }
}

function tell(invoked: Invoked): void {
  process.send?.(invoked);
}
