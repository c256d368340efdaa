import { vi } from "vitest";

/** Collects what this process logs from now on; LOG_LEVEL must be set before the log is imported. */
export function logLines(): { text: () => string; lines: () => Record<string, any>[]; stop: () => void } {
  let text = "";
  const spy = vi.spyOn(process.stderr, "write").mockImplementation((piece) => {
    text += String(piece);
    return true;
  });
  return {
    text: () => text,
    lines: () =>
      text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, any>),
    stop: () => spy.mockRestore(),
  };
}
