import { appendFileSync, existsSync, readFileSync } from "node:fs";

/** Whether a test that cannot run here must fail instead of being skipped: continuous integration has everything. */
export const skipsFail = Boolean(process.env["CI"]) || process.env["WAYBILL_REQUIRE_RABBITMQ"] === "1";

/** Notes what is not tested here and why: the last lines of the run say so. Throws where nothing may be skipped. */
export function noteSkip(line: string): void {
  if (skipsFail) throw new Error(`${line} Nothing is skipped in continuous integration.`);
  const file = process.env["WAYBILL_TEST_SKIPS"];
  if (file !== undefined) appendFileSync(file, `${line}\n`);
}

/** What the test files of this run have noted, each line once. */
export function notedSkips(file: string): string[] {
  if (!existsSync(file)) return [];
  return [...new Set(readFileSync(file, "utf8").split("\n").filter(Boolean))];
}
