import * as z from "zod";

/** Whether one part answers, and how fast. */
export const HealthPart = z.strictObject({
  status: z.enum(["ok", "failing"]),
  latency_ms: z.int().min(0),
  error: z.string().optional().describe("a code, never a message; read_only: the database takes no writes"),
});
export type HealthPart = z.infer<typeof HealthPart>;

/** Whether what this deployment stands on answers, and how fast. */
export const Health = z
  .strictObject({
    status: z.enum(["ok", "failing"]).describe("ok where every part is"),
    database: HealthPart,
    queues: z.record(
      z.string(),
      HealthPart.extend({ waiting: z.int().optional(), in_flight: z.int().optional() }).describe(
        "about; as SQS counts",
      ),
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
        "settings that do not do what they say, agents whose queue refuses messages and work that the database refuses to start, with what to do; no reason to fail",
      ),
  })
  .meta({ id: "Health" });
export type Health = z.infer<typeof Health>;
