// A process of its own for bench/llm.ts: the gateway behind its function URL, and what it has used so far.
import { serveStreamUrl } from "../localstack/llm-stream.ts";

const { url } = await serveStreamUrl(process.env["BENCH_FUNCTION"] ?? process.cwd(), 0);
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMs: (user + system) / 1000, rssMb: process.memoryUsage().rss / 1e6 });
});
process.on("disconnect", () => process.exit(0));
process.send?.({ url });
