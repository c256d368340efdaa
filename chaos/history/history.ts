/** All that is known of one run, as the invariants judge it. Times are milliseconds since 1970 by the clock of the harness. */
export type History = {
  /** What the client was told, try by try. */
  calls: ClientCall[];
  /** What the client submitted. */
  pieces: Piece[];
  /** What the agents did, by their own word, written down before they told anybody. */
  effects: Effect[];
  /** Every change of a task's state that was committed, in order. */
  changes: Change[];
  tasks: TaskTruth[];
  steps: StepTruth[];
  /** Messages that a row promises and no queue has taken. */
  outbox: { taskId: string; attempt: number | null; dueForMs: number }[];
  decisions: { taskId: string; decision: string; at: number }[];
  /** Work that was passed on to another agent. */
  handovers: { taskId: string; from: string; to: string; at: number }[];
  /** What the functions put on queues, as far as SQS took it. */
  sent: Sent[];
  /** What lies in the dead letter queues. */
  letters: Letter[];
  /** Processes that ended or stood still because the harness wanted it. */
  hurt: { pid: number; how: "killed" | "frozen"; at: number }[];
  /** Processes that ended by themselves. */
  crashes: { name: string; how: string; said: string }[];
  /** Poison that was put on queues, by its mark, with the queue. */
  poison: { mark: string; queue: string }[];
  /** Marks that no row may carry: they were told by those who may not. */
  forged: string[];
  /** What GET /work/{task_id}/output answered at the end, for completed work. */
  outputs: { taskId: string; status: number; text: string }[];
  /** When the fault was over. */
  clearedAt: number;
  /** How long after that, in milliseconds, rows may be locked by sessions of the faults. */
  lockedMs: number;
  /** How long everything may take from then on, in milliseconds. */
  recoveryMs: number;
  /** When the last promised piece of work was final; undefined where some never was. */
  settledAt: number | undefined;
  /** When a piece of work that was submitted afterwards was done; undefined where it was not. */
  probedAt: number | undefined;
  /** Connections at the server when everything had settled. */
  connections: number;
};

/** A piece of work as the client wants it; `plan` is what its agent is told to do. */
export type Piece = {
  key: string;
  agent: string;
  plan: Plan;
  maxAttempts: number;
  approval: "auto" | "required";
  /** Part of the load whose fairness is watched. */
  lane: "main" | "calm" | "noisy" | "probe";
};

/** What an agent does for a piece of work. */
export type Plan = {
  ms: number;
  steps: number;
  /** Lines of output a step. */
  lines: number;
  /** Its first so many attempts fail, and may be tried again. */
  fail: number;
  /** It fails for good. */
  fatal: boolean;
  /** It never ends by itself and does not listen. */
  hang: boolean;
};

/** One HTTP call of the client and what came of it. `status` 0: no answer. */
export type ClientCall = {
  at: number;
  tookMs: number;
  what: "submit" | "conflict" | "approve" | "cancel" | "handover" | "oversize";
  key: string;
  status: number;
  taskId?: string;
  error?: string;
};

export type Effect = {
  at: number;
  pid: number;
  agent: string;
  taskId: string;
  attempt: number;
  /** One start of the handler. */
  run: string;
  what: "started" | "finished" | "failed" | "stopped";
};

export type Change = { taskId: string; status: string; attempt: number; attemptsUsed: number; at: number };

export type TaskTruth = {
  taskId: string;
  requestId: string;
  status: string;
  attempt: number;
  attemptsUsed: number;
  maxAttempts: number;
  toAgent: string | null;
  errorMessage: string | null;
  row: string;
};

export type StepTruth = { taskId: string; attempt: number; step: number; status: string; action: string };

export type Sent = { at: number; by: string; type: string; taskId: string; attempt: number | null; to: string };

export type Letter = { queue: string; body: string; taskId: string | undefined; valid: boolean };

/** What is against an invariant, in a sentence with the ids that one looks for. */
export type Violation = { invariant: string; message: string };

/** The states out of which nothing leads by itself. */
export const FINAL = new Set(["completed", "failed", "rejected", "cancelled"]);

/** The output of a run that did all of its plan. */
export function outputOf(run: string, { steps, lines }: Plan): string {
  return Array.from({ length: steps }, (_, at) => stepOutput(run, at + 1, lines)).join("");
}

/** The output of one step of a run. */
export function stepOutput(run: string, step: number, lines: number): string {
  return Array.from({ length: lines }, (_, line) => `${run} step ${step} line ${line + 1}\n`).join("");
}
