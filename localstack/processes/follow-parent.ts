// Loaded by `node --import` into a process that must not outlive the one that started it, however that ends.

/** Longest that the process may take to stop by itself, in milliseconds: ?stop_ms= of what is imported. */
const STOP_MS = Number(new URL(import.meta.url).searchParams.get("stop_ms") ?? 5000);

process.on("disconnect", () => {
  process.kill(process.pid, "SIGTERM");
  setTimeout(() => process.exit(1), STOP_MS).unref();
});
// Listening keeps the channel open and so the process alive; this takes that back.
process.channel?.unref();
