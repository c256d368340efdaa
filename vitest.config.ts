import { join } from "node:path";
import { defineConfig } from "vitest/config";

const reportFile = process.env["WAYBILL_TEST_REPORT"];

// Every test file is a process, and many start more: with what they compile kept, one takes half the processor time to start.
process.env["NODE_COMPILE_CACHE"] ??= join(import.meta.dirname, "node_modules/.cache/node-compile-cache");

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    globalSetup: ["tests/support/global-setup.ts"],
    setupFiles: ["tests/support/setup.ts"],
    pool: "forks",
    // More than there may be cores: many tests wait, for brokers, leases and processes.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // .ci/run counts from this file.
    reporters: reportFile === undefined ? ["default"] : ["default", ["json", { outputFile: reportFile }]],
  },
});
