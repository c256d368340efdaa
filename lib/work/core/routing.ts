import * as z from "zod";

const share = z.number().min(0).max(1);

/** The four parts of a confidence. */
const Parts = z.strictObject({ trigger: share, context: share, capability: share, historical: share });

/** Why this agent: the decision of the router that stays with the work, its shares rounded to four places. */
export const Routing = z
  .strictObject({
    strategy: z
      .enum(["explicit", "work_type", "scored", "fallback", "none"])
      .describe("by to_agent, as the only one of its type, by score, for want of a better one, or nobody"),
    confidence: share,
    parts: Parts,
    reason: z.string().describe("one sentence"),
    alternatives: z
      .array(
        z.strictObject({
          agent: z.string(),
          confidence: share,
          parts: Parts,
          passed_over: z.string().optional().describe("why not, where it is not for the confidence"),
        }),
      )
      .describe("the best of the others, in order"),
  })
  .meta({ id: "Routing" });
export type Routing = z.infer<typeof Routing>;
