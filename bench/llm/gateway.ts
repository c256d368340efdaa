// A process of its own for bench/llm/run.ts: the gateway behind its function URL, and what it has used so far.
import { serveStreamUrl } from "../../localstack/functions/llm-stream.ts";
import { tellUsed } from "./usage.ts";

/** In a function: bundled as the deployed functions are, a module itself cannot wait. */
async function main(): Promise<void> {
  const { url } = await serveStreamUrl(process.env["BENCH_FUNCTION"] ?? process.cwd(), 0);
  tellUsed();
  process.send?.({ url });
}

void main();
