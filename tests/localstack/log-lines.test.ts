import { expect, test } from "vitest";
import { embeddedMetrics } from "../../lib/runtime/metrics.ts";
import { readable } from "../../localstack/log-lines.ts";

const shown = (event: string, fields: object, level = "info") =>
  readable("functions", JSON.stringify({ time: "2026-05-01T12:00:00.000Z", level, event, ...fields }));

test("the terminal shows what happens to work, and leaves metrics and what is no line of a log to the log file", () => {
  const metrics = embeddedMetrics(
    "Waybill",
    { service: "waybill" },
    { HeldUp: { value: 3, unit: "Count" } },
    new Date(),
  );

  expect(shown("work decided", { by: "ada" })).toMatch(/functions.*work decided.*by=ada/);
  expect(shown("work counted", metrics)).toBeUndefined();
  expect(shown("swept", {})).toBeUndefined();
  expect(readable("functions", "(λ: sweep) RequestId: 1  Duration: 2 ms")).toBeUndefined();
});
