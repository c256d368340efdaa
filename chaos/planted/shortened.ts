import type { Edit } from "./edits.ts";

/** Times of the product that no setting shortens, so that what waits for them is over within a run. */
export const SHORTENED: readonly Edit[] = [
  { file: "lib/work/core/outbox.ts", from: "const SEND_AFTER_SECONDS = 60;", to: "const SEND_AFTER_SECONDS = 3;" },
  {
    file: "lib/work/results/tell-again.ts",
    from: "const ASK_AFTER_SECONDS = [10, 300];",
    to: "const ASK_AFTER_SECONDS = [3, 12];",
  },
];
