import { log } from "../../lib/runtime/log.ts";
import { readBridgeEnv } from "./settings.ts";
import { startBridge } from "./start.ts";

// The bridge between SQS and RabbitMQ as a process: node localstack/bridge/main.ts. docs/queues.md says what it does.
const bridge = await startBridge(readBridgeEnv());
log.info("bridge started", { url: bridge.url });
process.send?.({ ready: bridge.url });

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    log.info("bridge stopping", { signal });
    void bridge.stop().then(() => {
      log.info("bridge stopped", bridge.counters);
      process.exit(0);
    });
  });
}
