/** Runs `once` from `concurrency` loops for `seconds` and answers how often a second it ended, with its latencies in ms. */
export async function throughput(
  concurrency: number,
  seconds: number,
  once: () => Promise<void>,
): Promise<{ perSecond: number; p50: number; p99: number; cpuMs: number }> {
  await Promise.all(Array.from({ length: concurrency }, once));
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const started = performance.now();
  const until = started + seconds * 1000;
  const loop = async () => {
    while (performance.now() < until) {
      const begun = performance.now();
      await once();
      latencies.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  const elapsed = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: latencies.length / elapsed,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    cpuMs: (user + system) / 1000 / latencies.length,
  };
}

/** The value below which a share of the values lies, by the nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** The middle of several rounds. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}
