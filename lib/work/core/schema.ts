import * as z from "zod";
import { isPlainName, PLAIN_NAME } from "../../input/plain-name.ts";
import { text } from "../../protocol/fields.ts";
import { AgentName, JsonObject, Timestamp, Uuid } from "../../protocol/messages.ts";
import { Hints } from "./hints.ts";
import { MAX_UUID, NIL_UUID } from "./uuids.ts";

const WorkType = z
  .string()
  .max(100)
  .regex(/^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$/, "must be lower-case names joined by dots, such as code.run");

/** What a person writes: without blanks around it, and not empty, or else `fault`. */
const said = (longest: number, fault?: string) =>
  // For the document: some character that is no blank, and no NUL.
  text(longest, 0, z.string().trim().min(1, fault)).meta({ pattern: "^[^\\u0000]*[^\\s\\u0000\\ufeff][^\\u0000]*$" });

const Person = said(200, "must name who it is").refine(isPlainName, PLAIN_NAME);

/** Who decides; never by the word that approved_by has where nobody did. */
const Decider = Person.refine((name) => name.replaceAll(" ", "").toLowerCase() !== "policy", {
  error: "must be the name of somebody; policy stands for work that nobody had to approve",
}).meta({ not: { pattern: "^\\s*[Pp][Oo][Ll][Ii][Cc][Yy]\\s*$" } });

/** What a program sends that has set none, and so the same for everybody. */
export const NOBODYS = [NIL_UUID, MAX_UUID];

/** Whether a key can make work the same work when it is sent again. */
export const isOwn = (key: string) => !NOBODYS.includes(key.toLowerCase());
export const OWN = "must be a key of its own for each work, not the nil or the max UUID";

/** What a caller submits. */
export const SubmitWork = z.strictObject({
  request_text: said(10_000, "must say what is wanted").describe("what is wanted, in words"),
  work_type: WorkType.describe("what kind of work; the router reads it beside the text and the hints"),
  parameters: JsonObject.default({}).describe("what the agent's handler takes"),
  hints: Hints.default({}).describe("advice for the agent and the router; what is not named here is the agent's own"),
  to_agent: AgentName.optional().describe("who is to do it; without it the router chooses"),
  project_id: Uuid.optional(),
  created_by: Person.optional().describe("who submits it; where it is said it must be whose key it is"),
  on_behalf_of: Person.optional().describe("for whom a service submits it; of no other key"),
  request_id: Uuid.refine(isOwn, OWN)
    .meta({ not: { enum: NOBODYS } })
    .optional()
    .describe("idempotency key; the header Idempotency-Key, where both are sent, must say the same"),
  approval: z.enum(["auto", "required"]).default("auto").describe("required: nothing happens until a person approves"),
  priority: z.int().min(0).max(9).default(5).describe("9 goes first"),
  not_before: Timestamp.optional(),
  timeout_seconds: z.int().min(1).max(86_400).default(3600).describe("the longest that one attempt may run"),
  max_attempts: z.int().min(1).max(100).default(3),
  estimated_resources: JsonObject.optional(),
});
export type SubmitWork = z.infer<typeof SubmitWork>;

/** What a caller asks the router: work that is not submitted, of which the text alone is needed. */
export const AskRouter = SubmitWork.partial().required({ request_text: true });

const { shape } = SubmitWork;

/** What is to be otherwise when work is done again; the rest is as it was. */
export const Rerun = z.strictObject({
  request_text: shape.request_text.optional(),
  work_type: shape.work_type.optional(),
  parameters: shape.parameters.unwrap().optional(),
  hints: shape.hints.unwrap().optional(),
  to_agent: shape.to_agent.describe(
    "who is to do it; without it as before: who was named then, or whom the router chooses",
  ),
  project_id: shape.project_id,
  created_by: shape.created_by,
  on_behalf_of: shape.on_behalf_of,
  request_id: shape.request_id,
  approval: shape.approval.unwrap().optional(),
  priority: shape.priority.unwrap().optional(),
  not_before: shape.not_before,
  timeout_seconds: shape.timeout_seconds.unwrap().optional(),
  max_attempts: shape.max_attempts.unwrap().optional(),
  estimated_resources: shape.estimated_resources,
});
export type Rerun = z.infer<typeof Rerun>;

/** Who decides, and why. */
export const Decide = z.strictObject({
  by: Decider.optional().describe("who decides, which is kept for ever; where it is said it must be whose key it is"),
  on_behalf_of: Person.optional().describe("for whom a service decides; of no other key"),
  reason: said(10_000).optional(),
});
export type Decide = z.infer<typeof Decide>;

/** Who approves, and who is to do the work. */
export const Approve = Decide.extend({
  to_agent: AgentName.optional().describe("must be given where the router chose nobody; otherwise it overrules"),
});
export type Approve = z.infer<typeof Approve>;

/** Passes work on to another agent, or with role tells that its agent takes another part in it. */
export const HandOver = z
  .strictObject({
    by: Decider.optional().describe("who says so; where it is said it must be whose key it is"),
    on_behalf_of: Person.optional().describe("for whom a service says so; of no other key"),
    reason: said(10_000),
    to_agent: AgentName.optional().describe(
      "who is to go on; without it the router chooses, never the same agent again",
    ),
    capabilities: z.array(text(100, 1)).max(50).optional().describe("what the next agent must be capable of"),
    context: JsonObject.optional().describe("what the next agent is to know"),
    role: said(200).optional().describe("the work stays where it is; its agent takes this part"),
    attempt: z.int().min(0).optional().describe("only while this is the latest attempt, otherwise 409"),
  })
  .refine(({ role, to_agent, capabilities }) => role === undefined || (to_agent ?? capabilities) === undefined, {
    path: ["role"],
    message: "is for work that stays where it is; leave out to_agent and capabilities",
  })
  .meta({ not: { required: ["role"], anyOf: [{ required: ["to_agent"] }, { required: ["capabilities"] }] } });
export type HandOver = z.infer<typeof HandOver>;

/** A person's word on how well work was done. */
export const GiveFeedback = z.strictObject({
  score: z.number().min(0).max(1).describe("0: useless, 1: could not be better"),
  by: Decider.optional().describe("who says so; where it is said it must be whose key it is"),
  on_behalf_of: Person.optional().describe("for whom a service says so; of no other key"),
  comment: said(10_000).optional(),
});
export type GiveFeedback = z.infer<typeof GiveFeedback>;
