const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs it. Where somebody ends this process meanwhile, by Ctrl-C, SIGTERM or a terminal that is closed, `end` says what comes of that
 * instead of the process' end.
 */
export async function unlessEnded<T>(end: (signal: NodeJS.Signals) => void, run: () => Promise<T>): Promise<T> {
  for (const signal of SIGNALS) process.on(signal, end);
  try {
    return await run();
  } finally {
    for (const signal of SIGNALS) process.off(signal, end);
  }
}
