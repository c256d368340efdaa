import * as z from "zod";

/** Whether one part answers, and how fast. */
export const HealthPart = z.strictObject({
  status: z.enum(["ok", "failing"]),
  latency_ms: z.int().min(0),
  error: z.string().optional().describe("a code, never a message; read_only: the database takes no writes"),
});
export type HealthPart = z.infer<typeof HealthPart>;

/** Whether a queue answers, and what it holds, about, as SQS counts. */
const QueueHealth = HealthPart.extend({ waiting: z.int().optional(), in_flight: z.int().optional() }).describe(
  "about; as SQS counts",
);
export type QueueHealth = z.infer<typeof QueueHealth>;

/** Whether what this deployment stands on answers, and how fast. */
export const Health = z
  .strictObject({
    status: z.enum(["ok", "failing"]).describe("ok where every part is"),
    database: HealthPart,
    queues: z
      .record(z.string(), QueueHealth)
      .describe(
        "work, results and, told to the team default, agent.NAME each; agents: those together, for everybody else",
      ),
    migrations: z.strictObject({
      status: z.enum(["ok", "failing"]),
      applied: z.string().nullable().describe("the latest that the database has"),
      expected: z.string().nullable().describe("the latest that this version of the code knows"),
      pending: z
        .array(z.string())
        .describe("run: npm run migrate, or for a deployed stage: npm run deploy -- migrate up"),
    }),
    warnings: z
      .array(z.string())
      .describe(
        "settings that do not do what they say, and of the key's team agents whose queue refuses messages and work that the database refuses to start, with what to do; empty without a key that may read; no reason to fail",
      ),
  })
  .meta({ id: "Health" });
export type Health = z.infer<typeof Health>;
