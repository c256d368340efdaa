import type { Handover, Message, OutputChunk, Role, Step } from "../../protocol/messages.ts";
import type { Status } from "../core/lifecycle.ts";

/** A step as execution_logs keeps it; `startedAt` is ISO 8601. */
export type StepRow = Omit<Step, "output"> & { taskId: string; attempt: number; agent: string; startedAt: string };

/** A piece of output as execution_output keeps it; `bytes` is its size decoded. */
export type ChunkRow = OutputChunk & { taskId: string; attempt: number; stepNumber: number; bytes: number };

/** A lease to be renewed, and how far the work is: 0 to 1, null where its agent does not say. */
export type Renewal = { taskId: string; progress: number | null };

/** The end of an attempt, and where it leads. */
export type EndRow = {
  taskId: string;
  traceId: string;
  attempt: number;
  status: Status;
  attemptsUsed: number;
  /** Whether the next attempt waits; otherwise it may start at once. */
  backoff: boolean;
  exitCode: number | null;
  errorMessage: string | null;
  /** JSON. */
  metrics: string | null;
  /** JSON, a list. */
  externalAi: string | null;
  /** Where the agent hands the work over: what it said, in which message. */
  handedOver: { handover: Handover; messageId: string } | null;
};

/** Another part that an agent takes in its work. */
export type RoleRow = { taskId: string; agent: string; role: Role; messageId: string };

/** Everything that a batch of messages changes, and the messages that change nothing because they came too late. */
export type Changes = {
  steps: StepRow[];
  chunks: ChunkRow[];
  roles: RoleRow[];
  renewals: Renewal[];
  ends: EndRow[];
  stale: Message[];
};
