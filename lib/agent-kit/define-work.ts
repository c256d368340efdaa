import type * as z from "zod";
import { describeIssue, type Fault, faultsOf } from "../input/faults.ts";
import { type ErrorCode, errorCodes } from "../protocol/error-codes.ts";
import type { Handover, Role, WorkRequest, WorkResult } from "../protocol/messages.ts";

/** What one kind of work sees of the request that it is doing. */
export type WorkContext = {
  work: Pick<WorkRequest, "task_id" | "attempt" | "request_text" | "hints" | "handover"> & { trace_id: string };
  /** Aborted when the work is cancelled, has timed out, or the agent stops. Hand it to whatever waits. */
  signal: AbortSignal;
  /** Tells one step: running while `run` runs, then completed, or failed where it throws. Answers what `run` answers. */
  step: <T>(action: string, run: (step: StepHandle) => Promise<T> | T) => Promise<T>;
  /** Tells how far the work is, 0 to 1. Only the latest matters: what is told more often than a queue likes is left out. */
  progress: (fraction: number, message?: string) => void;
  /** Passes the work on: `return handover({ reason, to_agent?, capabilities?, context? })`. The next agent has it in work.handover. */
  handover: (handover: Handover) => Outcome;
  /** Tells that this agent takes a part in the work from here on, such as reviewer; it is kept beside the steps. */
  role: (name: string, more?: Omit<Role, "name">) => void;
};

/** A step as its author has it while it runs. */
export type StepHandle = {
  /** Streams output, byte for byte: what is written here is what GET /work/{id}/output answers. */
  write: (piece: string | Uint8Array) => void;
  /** What the timeline says of this step, 500 characters at most; without it the head of the output. */
  summary: (text: string) => void;
  /** The step ends as failed, although nothing is thrown. */
  fail: (reason: string) => void;
};

/** How the work ended. Nothing at all means completed; an exit_code other than 0, or an error, means failed. */
export type Outcome = {
  status?: "completed" | "failed";
  exit_code?: number;
  /** Why it failed. */
  error?: string;
  /** Another attempt may succeed. Without it a failed result is final. */
  retryable?: boolean;
  /** Becomes actual_resources; the kit adds duration_ms, output_bytes and steps. */
  metrics?: Record<string, unknown>;
  external_ai_used?: WorkResult["external_ai_used"];
  /** The work is not done: another agent goes on with it. Whatever else is said here does not count then. */
  handover?: Handover;
};

/** One kind of work, made by defineWork: what it takes and how it is done. */
export type Work = {
  prepare: (parameters: unknown) => { ok: true; run: RunWork } | { ok: false; faults: Fault[] };
};

/** Does the work with parameters that have been read. */
export type RunWork = (context: WorkContext) => Promise<Outcome | undefined>;

/**
 * Defines one kind of work. `run` gets the parameters as the schema gives them; parameters that it refuses become a failed
 * result that names the fields, and whatever `run` throws becomes a failed result with its message.
 */
export function defineWork<S extends z.ZodType>(
  parameters: S,
  run: (parameters: z.infer<S>, context: WorkContext) => Promise<Outcome | void>,
): Work {
  return {
    prepare: (given) => {
      const parsed = parameters.safeParse(given, { error: describeIssue });
      if (parsed.success) return { ok: true, run: async (context) => (await run(parsed.data, context)) ?? undefined };
      return { ok: false, faults: faultsOf(parsed.error) };
    },
  };
}

/** Work that failed for a reason which the result is to tell exactly. Any other error is told by its message alone. */
export class WorkFailed extends Error {
  override name = "WorkFailed";
  readonly outcome: Outcome & { error: string };

  constructor(error: string, outcome: Omit<Outcome, "error" | "status"> = {}, cause?: unknown) {
    super(error, { cause });
    this.outcome = { ...outcome, status: "failed", error };
  }
}

/** The agent's own rules forbid this work: throw it. The message says which rule and how to change it. */
export function refused(reason: string): WorkFailed {
  return new WorkFailed(coded(5005, reason));
}

/** A reason that starts with its code, as the table of error codes has it. */
export function coded(code: ErrorCode, reason: string): string {
  return `${code} ${errorCodes[code].name}: ${reason}`;
}
