import * as z from "zod";
import { type Need, READER } from "../../access/may.ts";
import { listOf } from "../../input/list-of.ts";
import { whole } from "../../input/whole.ts";
import { text } from "../../protocol/fields.ts";
import { Timestamp, Uuid } from "../../protocol/messages.ts";
import type { Route } from "../../runtime/http/route.ts";
import {
  Explained,
  Feedback,
  LoggedAttempt,
  LoggedHandover,
  LoggedStep,
  TakenDecision,
  Task,
  TaskSummary,
  TaskWithSteps,
} from "./answers.ts";
import { type Decision, STATUSES } from "./lifecycle.ts";
import {
  Approve,
  AskRouter,
  Decide,
  GiveFeedback,
  HandOver,
  isOwn,
  NOBODYS,
  OWN,
  Rerun,
  SubmitWork,
} from "./schema.ts";

/** Members; what they may do to the work of others the use case says. */
const SUBMITTER: Need = { role: "member", scope: "work:write" };
const APPROVER: Need = { role: "admin", scope: "work:approve" };
const KEEPER: Need = { role: "admin", scope: "work:write" };

const params = z.object({ task_id: Uuid });

const idempotencyKey = z
  .string()
  .regex(
    /^[\x21-\x2b\x2d-\x7e]{1,255}$/,
    "must be one key of 1 to 255 printable ASCII characters without space and comma; two headers arrive joined by a comma",
  )
  .refine(isOwn, OWN)
  .meta({ not: { enum: NOBODYS } })
  .optional()
  .describe(
    "a UUID, or any other text, which stands for the UUID made of its SHA-256; beside a request_id it must stand for the same",
  );
const keyed = z.object({ "idempotency-key": idempotencyKey });

export const submitWork = {
  method: "POST",
  path: "/work",
  operation: "submitWork",
  summary: "Submit work. The same request_id or Idempotency-Key again answers with the work as it is now.",
  access: SUBMITTER,
  function: "submit-work",
  repeatable: true,
  headers: keyed,
  body: SubmitWork,
  answers: {
    201: { description: "Accepted and kept", schema: Task, headers: ["location"] },
    200: { description: "Accepted before", schema: Task, headers: ["location", "idempotent-replayed"] },
    409: { description: "The same key was used for other content" },
  },
} as const satisfies Route;

export const rerunWork = {
  method: "POST",
  path: "/work/{task_id}/rerun",
  operation: "rerunWork",
  summary: "Do finished work again as new work, with what the body says otherwise; it is approved anew.",
  access: SUBMITTER,
  function: "submit-work",
  repeatable: true,
  params,
  headers: keyed,
  body: Rerun.default({}),
  answers: {
    201: { description: "Accepted and kept", schema: Task, headers: ["location"] },
    200: { description: "Accepted before", schema: Task, headers: ["location", "idempotent-replayed"] },
    404: { description: "No such work" },
    409: { description: "The work has not ended, or the same key was used for other content" },
  },
} as const satisfies Route;

export const deleteWork = {
  method: "DELETE",
  path: "/work/{task_id}",
  operation: "deleteWork",
  summary: "Delete finished work with its steps, output, attempts and decisions; what the router decided stays.",
  access: KEEPER,
  function: "decide-work",
  params,
  answers: {
    204: { description: "It is gone" },
    404: { description: "No such work" },
    409: { description: "The work has not ended: cancel it first" },
  },
} as const satisfies Route;

export const explainRoute = {
  method: "POST",
  path: "/route",
  operation: "explainRouting",
  summary: "Which agent would get this work, and why. Writes nothing.",
  access: SUBMITTER,
  function: "submit-work",
  repeatable: true,
  body: AskRouter,
  answers: { 200: { description: "The decision", schema: Explained } },
} as const satisfies Route;

export const listWork = {
  method: "GET",
  path: "/work",
  operation: "listWork",
  summary: "List work, newest first or oldest first.",
  access: READER,
  function: "list-work",
  query: z.strictObject({
    status: listOf(z.enum(STATUSES), STATUSES.length).optional().describe("one, or several with commas between them"),
    work_type: text(100).optional(),
    agent: text(63).optional(),
    project_id: Uuid.optional(),
    created_by: text(200).optional(),
    created_after: Timestamp.optional().describe("at this time or later"),
    created_before: Timestamp.optional().describe("before this time"),
    text: text(200, 1)
      .optional()
      .describe(
        "part of request_text, in capitals or not; a page looks at 10,000 pieces of work, and may have few or none and a next_cursor",
      ),
    sort: z.enum(["newest", "oldest"]).default("newest"),
    limit: whole(1, 100).default(20),
    cursor: Uuid.optional().describe("next_cursor of the page before"),
  }),
  answers: {
    200: {
      description: "One page",
      schema: z.strictObject({ items: z.array(TaskSummary), next_cursor: Uuid.nullable() }),
    },
  },
} as const satisfies Route;

export const getWork = {
  method: "GET",
  path: "/work/{task_id}",
  operation: "getWork",
  summary:
    "One piece of work with the latest that happened to it; with wait, as soon as it is final or the wait is over.",
  access: READER,
  function: "get-work",
  params,
  query: z.strictObject({
    wait: whole(0, 25).default(0).describe("seconds to wait for a final state, at most 25"),
  }),
  answers: { 200: { description: "The work", schema: TaskWithSteps }, 404: { description: "No such work" } },
} as const satisfies Route;

const next = "next_cursor of the page before";

export const getLogs = {
  method: "GET",
  path: "/work/{task_id}/logs",
  operation: "getLogs",
  summary: "The steps of every attempt, in order.",
  access: READER,
  function: "get-logs",
  params,
  query: z.strictObject({
    limit: whole(1, 1000).default(1000),
    cursor: z
      .string()
      .regex(/^\d{1,10}\.\d{1,10}$/, "must be the next_cursor of the page before")
      .optional()
      .describe(next),
  }),
  answers: {
    200: {
      description: "One page",
      schema: z.strictObject({ steps: z.array(LoggedStep), next_cursor: z.string().nullable() }),
    },
    404: { description: "No such work" },
  },
} as const satisfies Route;

/** A call that answers one list of what happened to work, in pages. */
function history<const N extends string, const O extends string, C extends z.ZodType, I extends z.ZodType>(
  list: N,
  operation: O,
  summary: string,
  cursor: C,
  item: I,
) {
  return {
    method: "GET",
    path: `/work/{task_id}/${list}`,
    operation,
    summary,
    access: READER,
    function: "get-logs",
    params,
    query: z.strictObject({ limit: whole(1, 100).default(20), cursor }),
    answers: {
      200: {
        description: "One page",
        schema: z.strictObject({ items: z.array(item), next_cursor: z.string().nullable() }),
      },
      404: { description: "No such work" },
    },
  } as const satisfies Route;
}

export const getAttempts = history(
  "attempts",
  "getAttempts",
  "The attempts, first to last: who had each, and what became of it.",
  whole(0, 2_147_483_647).transform(String).optional().describe(next),
  LoggedAttempt,
);
export const getDecisions = history(
  "decisions",
  "getDecisions",
  "The decisions that people took, first to last.",
  Uuid.optional().describe(next),
  TakenDecision,
);
export const getHandovers = history(
  "handovers",
  "getHandovers",
  "How the work went from agent to agent, and which parts agents took, in order.",
  Uuid.optional().describe(next),
  LoggedHandover,
);

export const getOutput = {
  method: "GET",
  path: "/work/{task_id}/output",
  operation: "getOutput",
  summary: "The full output in step order, byte for byte; parts of it by Range.",
  access: READER,
  function: "get-output",
  params,
  query: z.strictObject({
    step: whole(1, 1_000_000).optional().describe("of this step only"),
    attempt: whole(0, 1_000_000)
      .optional()
      .describe("of this attempt; by default that which ended the work, or the latest"),
  }),
  headers: z.object({ range: z.string().max(100).optional() }),
  answers: {
    200: { description: "The output", contentType: "text/plain", headers: ["accept-ranges", "x-output-missing"] },
    206: {
      description: "The part asked for",
      contentType: "text/plain",
      headers: ["content-range", "x-output-missing"],
    },
    404: { description: "No such work, or it never had the attempt or the step" },
    413: { description: "Too large for one answer; ask for parts by Range" },
    416: { description: "The range is outside the output", headers: ["content-range"] },
  },
} as const satisfies Route;

function decision<const D extends Decision, B extends z.ZodType = typeof Decide>(
  verb: D,
  summary: string,
  access: Need,
  body?: B,
) {
  return {
    method: "POST",
    path: `/work/{task_id}/${verb}`,
    operation: `${verb}Work`,
    summary,
    access,
    function: "decide-work",
    params,
    headers: keyed,
    body: (body ?? Decide) as B,
    answers: {
      200: { description: "The work as it is now", schema: Task, headers: ["idempotent-replayed"] },
      404: { description: "No such work" },
      409: { description: "Not possible from the present status, or the same key was used for other content" },
    },
  } as const satisfies Route;
}

export const approveWork = decision("approve", "Approve pending work: it is dispatched.", APPROVER, Approve);
export const rejectWork = decision("reject", "Reject pending work: it is never done.", APPROVER);
export const cancelWork = decision(
  "cancel",
  "Cancel work that is not final; a running agent is told to stop.",
  SUBMITTER,
);
export const retryWork = decision("retry", "Run failed or cancelled work again.", SUBMITTER);

export const handOverWork = {
  method: "POST",
  path: "/work/{task_id}/handover",
  operation: "handOverWork",
  summary:
    "Pass approved or executing work on to another agent; an attempt that this ends does not count. The same again in the same run changes nothing, unless it has a key of its own.",
  access: KEEPER,
  function: "decide-work",
  params,
  headers: keyed,
  body: HandOver,
  answers: {
    200: { description: "The work as it is now", schema: Task, headers: ["idempotent-replayed"] },
    404: { description: "No such work" },
    409: {
      description:
        "Not possible from the present status or attempt, no other agent is found, as many roles are kept as can be, or the key was used for other content",
    },
    413: { description: "The context is too large for a message" },
  },
} as const satisfies Route;

export const giveFeedback = {
  method: "POST",
  path: "/work/{task_id}/feedback",
  operation: "giveFeedback",
  summary: "Say how well work was done; the latest word counts, three times what is measured.",
  access: SUBMITTER,
  function: "decide-work",
  params,
  body: GiveFeedback,
  answers: {
    200: { description: "What it came to", schema: Feedback },
    404: { description: "No such work" },
    409: { description: "The work has not been completed or failed, or was never routed" },
  },
} as const satisfies Route;

/** Every call about work. */
export const workRoutes = [
  submitWork,
  listWork,
  getWork,
  getLogs,
  getAttempts,
  getDecisions,
  getHandovers,
  getOutput,
  approveWork,
  rejectWork,
  cancelWork,
  retryWork,
  rerunWork,
  deleteWork,
  handOverWork,
  giveFeedback,
  explainRoute,
] satisfies Route[];
