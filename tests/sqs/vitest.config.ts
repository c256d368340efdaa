import { join } from "node:path";
import { defineConfig } from "vitest/config";

// npm run test:sqs: the contract tests alone, against any SQS.
export default defineConfig({
  test: {
    include: ["tests/sqs/**/*.test.ts"],
    globalSetup: [join(import.meta.dirname, "only.ts")],
    pool: "forks",
    maxWorkers: 2,
  },
});
