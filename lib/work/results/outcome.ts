import { NOT_AUTHENTIC } from "../../protocol/error-codes.ts";
import type { ErrorReport, ExternalAiUse, Message, WorkResult } from "../../protocol/messages.ts";
import type { End } from "../attempts/ends.ts";
import type { Saying, Word } from "../attempts/hear.ts";
import { characters } from "./characters.ts";

const ERROR_CHARACTERS = 10_000;

/** Of one use of an external model. */
const USE_BYTES = 1_000;
const MODEL_CHARACTERS = 200;

/** What a message from an agent says of its attempt; undefined for those that say nothing of any. */
export function wordOf(message: Message): Word | undefined {
  const said = sayingOf(message);
  if (said === undefined || message.type === "work_request") return undefined;
  const { attempt, start_id: startId } = message.payload;
  const by = "process" in message.payload ? message.payload.process : undefined;
  return {
    agent: message.from_agent,
    runId: message.request_id,
    attempt,
    startId,
    process: by,
    at: new Date(message.timestamp),
    ...said,
  };
}

function sayingOf(message: Message): Saying | undefined {
  switch (message.type) {
    case "work_request":
      return undefined;
    case "work_result":
      return { says: "end", end: resultEnd(message.payload) };
    case "error":
      // What an agent takes for forged says nothing of its work.
      if (message.payload.error_code === NOT_AUTHENTIC) return undefined;
      return { says: "end", end: errorEnd(message.payload) };
    case "work_status": {
      const { status, progress = null, step, role, handover, message: said } = message.payload;
      if (status === "held") return { says: "held" };
      if (status === "executing")
        return { says: "executing", progress, sign: step === undefined && role === undefined };
      const how = status === "cancelled" ? "cancelled" : handover === undefined ? "handed_back" : "handed_over";
      return { says: "end", end: ending(how, handover?.reason ?? said ?? null) };
    }
  }
}

/** The end of an attempt whose agent could not hand its work over as it said: it counts, so that it cannot go round for ever. */
export function handoverFailed(reason: string): End {
  return ending("failed_retryable", reason);
}

/** JSON: the models that a result says were used; null where it says none. */
export function aiUseOf(message: Message): string | null {
  return message.type === "work_result" ? aiUse(message.payload.external_ai_used) : null;
}

function ending(how: End["how"], reason: string | null): End {
  const short = reason === null ? null : characters(reason, ERROR_CHARACTERS);
  return { how, reason: short, exitCode: null, metrics: null };
}

function resultEnd(result: WorkResult): End {
  const how = result.status === "completed" ? "completed" : result.retryable ? "failed_retryable" : "failed";
  const reason = how === "completed" ? (result.error_message ?? null) : result.error_message || reasonOf(result);
  const metrics = result.metrics == null ? null : JSON.stringify(result.metrics);
  return { ...ending(how, reason), exitCode: result.exit_code ?? null, metrics };
}

function reasonOf(result: WorkResult): string {
  return result.exit_code == null ? "failed; its agent gave no reason" : `failed with exit code ${result.exit_code}`;
}

function errorEnd(report: ErrorReport): End {
  const how = report.error_code === 5001 ? "failed_retryable" : "failed";
  return ending(how, `${report.error_message} (error ${report.error_code})`);
}

function aiUse(use: ExternalAiUse | ExternalAiUse[] | null | undefined): string | null {
  if (use == null) return null;
  const uses = Array.isArray(use) ? use : [use];
  return uses.length === 0 ? null : JSON.stringify(uses.map(shortened));
}

/** What is told of one use beside its model, tokens and cost is kept while it is short. */
function shortened(use: ExternalAiUse): ExternalAiUse {
  if (Buffer.byteLength(JSON.stringify(use)) <= USE_BYTES) return use;
  const { model, tokens = null, cost = null } = use;
  return { model: characters(model, MODEL_CHARACTERS), tokens, cost, cut: true };
}
