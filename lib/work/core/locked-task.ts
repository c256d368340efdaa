import type { Handover, Message, OutputChunk, Role, Step } from "../../protocol/messages.ts";
import type { Status } from "./lifecycle.ts";

/** What is known of a task while its row is locked. */
export type Held = {
  taskId: string;
  traceId: string;
  status: Status;
  attempt: number;
  attemptsUsed: number;
  maxAttempts: number;
  toAgent: string | null;
  runId: string;
};

/** A task of which a message's sender has the present attempt. */
export type Present = Held & { toAgent: string };

export type StepRow = Omit<Step, "output"> & { taskId: string; attempt: number; agent: string; startedAt: string };
export type ChunkRow = OutputChunk & { taskId: string; attempt: number; stepNumber: number; bytes: number };
export type Renewal = { taskId: string; progress: number | null };
export type EndRow = {
  taskId: string;
  traceId: string;
  attempt: number;
  status: Status;
  attemptsUsed: number;
  backoff: boolean;
  exitCode: number | null;
  errorMessage: string | null;
  metrics: string | null;
  externalAi: string | null;
  /** Where the agent passes the work on: what it said, in which message. */
  passedOn: { handover: Handover; messageId: string } | null;
};
export type RoleRow = { taskId: string; agent: string; role: Role; messageId: string };

/** Everything that a batch of messages changes, and the messages that change nothing because they came too late. */
export type Plan = {
  steps: StepRow[];
  chunks: ChunkRow[];
  roles: RoleRow[];
  renewals: Renewal[];
  ends: EndRow[];
  stale: Message[];
};
