import type { Handover, Message, OutputChunk, Role, Step } from "../../protocol/messages.ts";
import type { ToStop } from "../attempts/stop.ts";
import type { Attempt, Work } from "../attempts/work.ts";

/** A step as execution_logs keeps it; `startedAt` is ISO 8601. */
export type StepRow = Omit<Step, "output"> & {
  teamId: string;
  taskId: string;
  attempt: number;
  agent: string;
  startedAt: string;
};

/** A piece of output as execution_output keeps it; `bytes` is its size decoded. */
export type ChunkRow = OutputChunk & { taskId: string; attempt: number; stepNumber: number; bytes: number };

/** Another part that an agent takes in its work, and the message that says so. */
export type RoleRow = { taskId: string; agent: string; role: Role; message: Message };

/** An attempt whose agent hands the work over: what it said, in which message. */
export type Handing = { work: Work; attempt: Attempt; handover: Handover; messageId: string };

/** An attempt that a message has ended, and where its work is now. */
export type Ended = { taskId: string; traceId: string; attempt: number; how: string; status: string };

export function endedOf({ taskId, traceId, status }: Work, { attempt, how }: Attempt): Ended {
  return { taskId, traceId, attempt, how: how ?? "", status };
}

/** A message that changed nothing of the work, and why. */
export type Stale = { message: Message; why: string };

/** What a batch of messages changes beside the work and its attempts, whom to tell to stop, and the messages that change nothing. */
export type Changes = {
  steps: StepRow[];
  chunks: ChunkRow[];
  roles: RoleRow[];
  handings: Handing[];
  /** The attempts that were ended, each with its work. */
  ended: { work: Work; attempt: Attempt }[];
  stops: { work: Work; stop: ToStop }[];
  stale: Stale[];
};
