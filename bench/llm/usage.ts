import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Answers a process of the bench that asks what this one has used so far; "collect" collects garbage before. */
export function tellUsed(): void {
  process.on("message", (asked) => {
    if (asked === "collect") {
      setFlagsFromString("--expose-gc");
      (runInNewContext("gc") as () => void)();
    }
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed, external } = process.memoryUsage();
    process.send?.({
      cpuMs: (user + system) / 1000,
      rssMb: rss / 1e6,
      heapMb: heapUsed / 1e6,
      externalMb: external / 1e6,
    });
  });
  process.on("disconnect", () => process.exit(0));
}
