import * as z from "zod";
import { whole } from "../../input/whole.ts";
import { AgentName, ExternalAiUse, JsonObject, Timestamp, Uuid } from "../../protocol/messages.ts";
import { STATUSES } from "./lifecycle.ts";
import { Routing } from "./router-seam.ts";

const WorkType = z
  .string()
  .max(100)
  .regex(/^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$/, "must be lower-case names joined by dots, such as code.run");

const Person = z.string().trim().min(1, "must name who it is").max(200);

/** What a caller submits. */
export const SubmitWork = z.strictObject({
  request_text: z.string().trim().min(1, "must say what is wanted").max(10_000).describe("what is wanted, in words"),
  work_type: WorkType.describe("what kind of work; the router reads it beside the text and the hints"),
  parameters: JsonObject.default({}).describe("what the agent's handler takes"),
  hints: JsonObject.default({}).describe(
    "advice for the agent and the router, which reads capabilities, environment, language, files, parent_task_id and concurrency_key",
  ),
  to_agent: AgentName.optional().describe("who is to do it; without it the router chooses"),
  project_id: Uuid.optional(),
  created_by: Person.default("anonymous"),
  request_id: Uuid.optional().describe("idempotency key; the header Idempotency-Key says the same"),
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

/** What the router would do. */
export const Explained = Routing.extend({
  agent: z.string().nullable().describe("null: nobody, and the work would wait for a person"),
  routing_time_us: z.int().describe("microseconds"),
  cache_hit: z.boolean(),
  cache_age_seconds: z.number().nullable(),
}).meta({ id: "Explained" });

/** Who decides, and why. */
export const Decide = z.strictObject({
  by: Person.describe("who decides; kept for ever"),
  reason: z.string().trim().min(1).max(10_000).optional(),
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
    by: Person.describe("who says so: a person, or an agent's name"),
    reason: z.string().trim().min(1).max(10_000),
    to_agent: AgentName.optional().describe(
      "who is to go on; without it the router chooses, never the same agent again",
    ),
    capabilities: z
      .array(z.string().min(1).max(100))
      .max(50)
      .optional()
      .describe("what the next agent must be capable of"),
    context: JsonObject.optional().describe("what the next agent is to know"),
    role: z
      .string()
      .trim()
      .min(1)
      .max(200)
      .optional()
      .describe("the work stays where it is; its agent takes this part"),
    attempt: z.int().min(0).optional().describe("only while this is the latest attempt, otherwise 409"),
  })
  .refine(({ role, to_agent, capabilities }) => role === undefined || (to_agent ?? capabilities) === undefined, {
    path: ["role"],
    message: "is for work that stays where it is; leave out to_agent and capabilities",
  });
export type HandOver = z.infer<typeof HandOver>;

/** A person's word on how well work was done. */
export const GiveFeedback = z.strictObject({
  score: z.number().min(0).max(1).describe("0: useless, 1: could not be better"),
  by: Person,
  comment: z.string().trim().min(1).max(10_000).optional(),
});

const Time = z.iso.datetime({ offset: true });

const summary = {
  task_id: Uuid,
  status: z.enum(STATUSES),
  request_id: Uuid,
  run_id: Uuid.describe("the request_id that agents see: kept over the attempts of a run, new with each retry"),
  trace_id: Uuid,
  project_id: Uuid.nullable(),
  created_by: z.string(),
  request_text: z.string(),
  work_type: z.string(),
  to_agent: z.string().nullable().describe("null while nobody is chosen: approve names one"),
  priority: z.int(),
  not_before: Time.nullable(),
  timeout_seconds: z.int(),
  max_attempts: z.int(),
  approval: z.enum(["auto", "required"]),
  approved_by: z.string().nullable().describe("a person, or policy"),
  approved_at: Time.nullable(),
  approval_reason: z.string().nullable(),
  attempt: z.int().describe("number of the latest attempt, 0 before the first"),
  attempts_used: z.int().describe("attempts that count against max_attempts; 0 again after a retry"),
  ready_at: Time.nullable().describe("while approved: when it may be dispatched"),
  dispatched_at: Time.nullable(),
  started_at: Time.nullable().describe("when the agent first spoke of the latest attempt"),
  lease_until: Time.nullable().describe("while executing: when the attempt is over unless its agent speaks"),
  progress: z.number().nullable(),
  exit_code: z.int().nullable(),
  error_message: z.string().nullable(),
  created_at: Time,
  completed_at: Time.nullable(),
};

/** One step of one attempt. */
export const LoggedStep = z.strictObject({
  attempt: z.int(),
  step_number: z.int(),
  agent_type: z.string(),
  action: z.string(),
  status: z.enum(["running", "completed", "failed"]),
  output_summary: z.string().nullable(),
  output_size_bytes: z.int(),
  timestamp: Time,
  duration_ms: z.number().nullable(),
});
export type LoggedStep = z.infer<typeof LoggedStep>;

/** One decision that a person took. */
export const TakenDecision = z.strictObject({
  decision: z.string(),
  decided_by: z.string(),
  reason: z.string().nullable(),
  status_before: z.enum(STATUSES),
  status_after: z.enum(STATUSES),
  decided_at: Time,
});
export type TakenDecision = z.infer<typeof TakenDecision>;

/** Once that work changed hands, or its agent took a part; nested by parent_event_id. */
export const TaskEvent = z.strictObject({
  event_id: Uuid,
  parent_event_id: Uuid.nullable(),
  occurred_at: Time,
  event_type: z.enum(["handover", "sub_role"]),
  role: z.string().nullable(),
  source_agent: z.string(),
  target_agent: z.string().describe("orchestrator: nobody was found, and the work waited for a person"),
  reason: z.string().nullable(),
  context: JsonObject,
  routing_confidence: z.number().nullable(),
  routing_strategy: z.string().nullable(),
  transformation_time_ms: z.number().nullable().describe("from the call to the dispatch of the request"),
  initialisation_time_ms: z.number().nullable().describe("from there to the agent's first word"),
  execution_time_ms: z.number().nullable(),
  quality_score: z.number().nullable().describe("of the work as a whole, once it has ended"),
  error_message: z.string().nullable(),
  completed_at: Time.nullable(),
});
export type TaskEvent = z.infer<typeof TaskEvent>;

/** What feedback has come to. */
export const Feedback = z
  .strictObject({
    task_id: Uuid,
    agent: z.string(),
    confidence: z.number().describe("of the decision"),
    actual_quality_score: z.number(),
    prediction_error: z.number().describe("actual_quality_score - confidence"),
    score: z.number(),
    by: z.string(),
    comment: z.string().nullable(),
  })
  .meta({ id: "Feedback" });
export type Feedback = z.infer<typeof Feedback>;

/** One piece of work in a list: without what may be large. */
export const TaskSummary = z.strictObject(summary).meta({ id: "TaskSummary" });
export type TaskSummary = z.infer<typeof TaskSummary>;

/** One piece of work. */
export const Task = z
  .strictObject({
    ...summary,
    parameters: JsonObject,
    hints: JsonObject,
    routing: Routing.nullable().describe("why this agent; null for work older than the router"),
    estimated_resources: JsonObject.nullable(),
    actual_resources: JsonObject.nullable(),
    external_ai_used: z.array(ExternalAiUse).nullable(),
  })
  .meta({ id: "Task" });
export type Task = z.infer<typeof Task>;

/** One piece of work with what happened to it. */
export const TaskWithSteps = z
  .strictObject({
    ...Task.shape,
    steps: z.array(LoggedStep),
    decisions: z.array(TakenDecision),
    handovers: z.array(TaskEvent),
    held_up: z.string().nullable().describe("while approved: why it cannot be dispatched, and what to do about it"),
  })
  .meta({ id: "TaskWithSteps" });
export type TaskWithSteps = z.infer<typeof TaskWithSteps>;

/** What decides how work is handled, from the environment. */
export const WorkSettings = z.object({
  APPROVAL_REQUIRED: z
    .string()
    .default("")
    .transform((text) =>
      text
        .split(",")
        .map((rule) => rule.trim())
        .filter(Boolean),
    )
    .describe("work_types that always wait for a person, such as code.run,infra.*"),
  LEASE_SECONDS: whole(1, 3600).default(60),
  PICKUP_SECONDS: whole(1, 86_400).default(900),
  AGENT_IN_FLIGHT: whole(1, 10_000).default(10),
});
export type WorkSettings = z.infer<typeof WorkSettings>;
