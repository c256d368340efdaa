import * as z from "zod";
import { ExternalAiUse, JsonObject, Uuid } from "../../protocol/messages.ts";
import { type Ending, STATUSES } from "./lifecycle.ts";
import { Routing } from "./routing.ts";

// What callers are answered about work. Columns keep their names; times are ISO 8601 with an offset.

/** What the router would do. */
export const Explained = Routing.extend({
  agent: z.string().nullable().describe("null: nobody, and the work would wait for a person"),
  routing_time_us: z.int().describe("microseconds"),
  cache_hit: z.boolean(),
  cache_age_seconds: z.number().nullable(),
}).meta({ id: "Explained" });

const Time = z.iso.datetime({ offset: true });

const summary = {
  task_id: Uuid,
  team_id: Uuid.describe("whose it is"),
  status: z.enum(STATUSES),
  request_id: Uuid,
  run_id: Uuid.describe("the request_id that agents see: kept over the attempts of a run, new with each retry"),
  trace_id: Uuid,
  rerun_of: Uuid.nullable().describe("the work that this does again, which may be deleted by now"),
  project_id: Uuid.nullable(),
  created_by: z.string(),
  on_behalf_of: z.string().nullable().describe("for whom a service says that it has submitted it"),
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
  lease_until: Time.nullable().describe(
    "while executing or cancelling: when the attempt is over unless its agent speaks",
  ),
  progress: z.number().nullable(),
  exit_code: z.int().nullable(),
  error_message: z.string().nullable(),
  ended_by: z
    .int()
    .nullable()
    .describe("the attempt that ended it by its agent's word; null where silence or a person did"),
  created_at: Time,
  completed_at: Time.nullable(),
};

/** How an attempt ended. */
const HOW = [
  "completed",
  "failed",
  "failed_retryable",
  "handed_back",
  "handed_over",
  "cancelled",
  "lease_expired",
  "withdrawn",
] as const satisfies readonly Ending[];

/** One attempt, whatever became of it. */
export const LoggedAttempt = z.strictObject({
  attempt: z.int(),
  agent: z.string(),
  process: z.string().nullable().describe("which process has it, in its own words"),
  start_id: Uuid.nullable(),
  counted: z
    .boolean()
    .describe(
      "against max_attempts; of processes with one request the first that began it, and not what was handed back",
    ),
  requests: z.int().describe("how often it was asked for: a request that nobody takes is sent again"),
  requested_at: Time,
  taken_at: Time.nullable().describe("when a process first said that it has it"),
  started_at: Time.nullable().describe("when it said that it runs"),
  heard_at: Time.nullable().describe("when it last said anything"),
  lease_until: Time.nullable().describe("while open"),
  told_to_stop_at: Time.nullable(),
  ended_at: Time.nullable(),
  how: z.enum(HOW).nullable().describe("null while open; lease_expired: by silence; withdrawn: before anybody had it"),
  reason: z.string().nullable(),
  exit_code: z.int().nullable(),
  metrics: JsonObject.nullable().describe(
    "GET /work/{task_id} leaves out what is over 10 kB; a page of attempts has it",
  ),
  metrics_bytes: z.int().nullable().describe("their size; null where there are none"),
});
export type LoggedAttempt = z.infer<typeof LoggedAttempt>;

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
  decision_id: Uuid,
  decision: z.string(),
  decided_by: z.string(),
  on_behalf_of: z.string().nullable(),
  reason: z.string().nullable(),
  status_before: z.enum(STATUSES),
  status_after: z.enum(STATUSES),
  decided_at: Time,
});
export type TakenDecision = z.infer<typeof TakenDecision>;

/** Work that changed hands once, or a part that its agent took; nested by parent_event_id. */
export const LoggedHandover = z.strictObject({
  event_id: Uuid,
  parent_event_id: Uuid.nullable(),
  occurred_at: Time,
  event_type: z.enum(["handover", "sub_role"]),
  role: z.string().nullable(),
  source_agent: z.string(),
  target_agent: z.string().describe("orchestrator: nobody was found, and the work waited for a person"),
  reason: z.string().nullable(),
  context: JsonObject.nullable().describe(
    "null where GET /work/{task_id} leaves it out, because it is over 10 kB; a page of handovers has it",
  ),
  context_bytes: z.int().describe("its size"),
  routing_confidence: z.number().nullable(),
  routing_strategy: z.string().nullable(),
  transformation_time_ms: z.number().nullable().describe("from the call to the dispatch of the request"),
  initialisation_time_ms: z.number().nullable().describe("from there to the agent's first word"),
  execution_time_ms: z.number().nullable(),
  quality_score: z.number().nullable().describe("of the work as a whole, once it has ended"),
  error_message: z.string().nullable(),
  completed_at: Time.nullable(),
});
export type LoggedHandover = z.infer<typeof LoggedHandover>;

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
    left_out: z
      .array(z.strictObject({ field: z.string(), bytes: z.int() }))
      .describe("fields that stand empty because one answer cannot carry them all"),
  })
  .meta({ id: "Task" });
export type Task = z.infer<typeof Task>;

/** One piece of work with what happened to it. */
export const TaskWithSteps = z
  .strictObject({
    ...Task.shape,
    attempts: z.array(LoggedAttempt).describe("the latest, in order"),
    steps: z.array(LoggedStep).describe("the latest, in order"),
    decisions: z.array(TakenDecision).describe("the latest, in order"),
    handovers: z.array(LoggedHandover).describe("the latest, in order"),
    counts: z
      .strictObject({ attempts: z.int(), steps: z.int(), decisions: z.int(), handovers: z.int() })
      .describe(
        "how many there are in all: of each the latest 100 are here, or fewer where they are large; pages have the rest",
      ),
    held_up: z.string().nullable().describe("why it does not go on, and what to do about it"),
  })
  .meta({ id: "TaskWithSteps" });
export type TaskWithSteps = z.infer<typeof TaskWithSteps>;
