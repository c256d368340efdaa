import type { Edit } from "./edits.ts";

/** A bug that is made on purpose, to see that the harness finds it. */
export type Plant = {
  id: string;
  /** What is wrong, in a line. */
  bug: string;
  edits: readonly Edit[];
  /** The faults under which it shows. */
  faults: readonly string[];
  /** How long they last here, in milliseconds. */
  lasts: number;
  /** The invariants of which at least one must find it. */
  caught: readonly string[];
};

/** Each is a change to a source file while it is loaded; the product itself has no switch for it. */
export const PLANTS: readonly Plant[] = [
  {
    id: "no-fencing",
    bug: "whoever names a task may tell its result, of whatever run",
    edits: [
      { file: "lib/work/attempts/hear.ts", from: "said.agent !== word.agent", to: "false" },
      { file: "lib/work/attempts/hear.ts", from: "said.runId !== word.runId", to: "false" },
      { file: "lib/work/results/record.ts", from: "if (error === undefined) return", to: "if (true) return" },
    ],
    faults: ["none"],
    lasts: 3_000,
    caught: ["I5 fencing"],
  },
  {
    id: "ack-before-commit",
    bug: "record-result tells the queue that it is done before it has committed",
    edits: [
      { file: "functions/work/record-result.ts", from: "export const handler =", to: "const real =" },
      {
        file: "functions/work/record-result.ts",
        from: "received));",
        to: "received));\nexport const handler = async (event: Parameters<typeof real>[0]) => {\n  void real(event).catch(() => {});\n  return { batchItemFailures: [] };\n};",
      },
    ],
    faults: ["recorder-killed-before-commit"],
    lasts: 20_000,
    caught: ["I1 no work lost", "I4 effect once"],
  },
  {
    id: "no-idempotency",
    bug: "the idempotency key is not looked at",
    edits: [
      {
        file: "lib/work/submission/submit.ts",
        from: "const requestId = requestIdOf(request_id, key) ?? taskId;",
        to: "const requestId = taskId;",
      },
    ],
    faults: ["none"],
    lasts: 3_000,
    caught: ["I2 idempotent"],
  },
  {
    id: "process-clock",
    bug: "leases and waits go by the clock of the process that looks",
    edits: [
      {
        file: "lib/work/dispatch/sweep.ts",
        from: "const clock: Clock = { now, dice",
        to: "const clock: Clock = { now: new Date(), dice",
      },
    ],
    faults: ["clock-skew", "requests-lost"],
    lasts: 32_000,
    caught: ["I1 no work lost", "I10 recovery"],
  },
  {
    id: "swallowed-poison",
    bug: "what cannot be read is dropped without a word",
    edits: [
      {
        file: "lib/wiring/queue.ts",
        from: 'else letters.push({ record, kind: "invalid", refusal: refusalOf(parsed, record.body) });',
        to: "",
      },
    ],
    faults: ["poison"],
    lasts: 4_000,
    caught: ["I7 conservation"],
  },
  {
    id: "outbox-trusting",
    bug: "what a queue has not taken leaves the outbox all the same",
    edits: [
      {
        file: "lib/work/core/outbox.ts",
        from: "const { sent, refused } = await send(messages);",
        to: "const { refused } = await send(messages);\n  const sent = messages.map(({ id }) => id);",
      },
    ],
    faults: ["sqs-restarts"],
    lasts: 9_000,
    caught: ["I6 outbox"],
  },
  {
    id: "promise-forgotten",
    bug: "the dispatcher does not wait for what it has begun, so that its error is nobody's",
    edits: [{ file: "functions/work/dispatch.ts", from: "await startReady(", to: "void startReady(" }],
    faults: ["postgres-restarts"],
    lasts: 9_000,
    caught: ["I8 bounded"],
  },
  {
    id: "cancel-unheard",
    bug: "agents take the word cancelled and go on",
    edits: [
      {
        file: "lib/agent-kit/inbox.ts",
        from: 'work.controller.abort(new Stopped("cancelled", "cancelled"));',
        to: "void 0;",
      },
    ],
    faults: ["cancels"],
    lasts: 6_000,
    caught: ["I5 fencing"],
  },
];
