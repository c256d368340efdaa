import type { OutputChunk, Step } from "../protocol/messages.ts";
import { CHUNK_BYTES, cutLength, encodeChunk } from "./chunks.ts";
import type { StepHandle, WorkContext } from "./define-work.ts";
import { clip, messageOf } from "./text.ts";

const FLUSH_MS = 250;
/** The highest step_number of the protocol. */
const MAX_STEPS = 1_000_000;
const SUMMARY_LENGTH = 500;
/** Enough for a summary of characters of four bytes. */
const HEAD_BYTES = 4 * SUMMARY_LENGTH;

/** The steps of one run: numbered as they begin, each told when it starts, with each chunk of output, and when it ends. */
export type Steps = {
  step: WorkContext["step"];
  /** Ends the steps that are still open as failed; whatever is written to them later is ignored. */
  close: (reason: string) => void;
  totals: () => { steps: number; output_bytes: number };
};

/**
 * Starts numbering at 1. `tell` keeps and sends what it is given. A step that throws after the signal was aborted failed for the
 * signal's reason, whatever it threw.
 */
export function recordSteps(tell: (step: Step) => void, signal?: AbortSignal): Steps {
  let count = 0;
  let outputBytes = 0;
  let closed = false;
  const open = new Set<ReturnType<typeof openStep>>();
  return {
    step: async (action, run) => {
      if (closed) throw new Error(`The step "${action}" came after the end of its work.`);
      if (count === MAX_STEPS) throw new Error(`The work has ${MAX_STEPS} steps already; tell less in more output.`);
      const current = openStep(++count, action, tell, (bytes) => {
        outputBytes += bytes;
      });
      open.add(current);
      try {
        const answer = await run(current.handle);
        current.end();
        return answer;
      } catch (error) {
        current.handle.fail(messageOf(signal?.aborted ? signal.reason : error));
        current.end();
        throw error;
      } finally {
        open.delete(current);
      }
    },
    close: (reason) => {
      closed = true;
      for (const step of open) {
        step.handle.fail(reason);
        step.end();
      }
      open.clear();
    },
    totals: () => ({ steps: count, output_bytes: outputBytes }),
  };
}

function openStep(number: number, action: string, tell: (step: Step) => void, counted: (bytes: number) => void) {
  const started = performance.now();
  const base = {
    step_number: number,
    action: clip(action.trim() || "step", 200),
    started_at: new Date().toISOString(),
  };
  let ended = false;
  let failure: string | undefined;
  let summary: string | undefined;
  let head = Buffer.alloc(0);
  let pieces: Buffer[] = [];
  let pendingBytes = 0;
  let chunks = 0;
  let timer: NodeJS.Timeout | undefined;

  const nextChunk = (bytes: Buffer): OutputChunk => ({ chunk_number: chunks++, ...encodeChunk(bytes) });
  /** Tells the output in chunks while at least `least` bytes wait, and keeps the rest. */
  const flush = (least: number) => {
    let rest = joined(pieces);
    while (rest.length >= least) {
      const length = cutLength(rest, CHUNK_BYTES);
      if (length === 0) break;
      tell({ ...base, status: "running", output: nextChunk(rest.subarray(0, length)) });
      rest = rest.subarray(length);
    }
    pieces = [rest];
    pendingBytes = rest.length;
  };
  const flushLater = () => {
    timer = undefined;
    flush(1);
  };
  const handle: StepHandle = {
    write: (piece) => {
      if (ended || piece.length === 0) return;
      const bytes = Buffer.from(piece as Uint8Array);
      counted(bytes.length);
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, bytes.subarray(0, HEAD_BYTES)]);
      pieces.push(bytes);
      pendingBytes += bytes.length;
      if (pendingBytes >= CHUNK_BYTES) flush(CHUNK_BYTES);
      if (pendingBytes > 0) timer ??= setTimeout(flushLater, FLUSH_MS);
    },
    summary: (text) => {
      summary = text;
    },
    fail: (reason) => {
      failure = reason;
    },
  };
  const end = () => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    const told = clip((failure ?? summary ?? head.toString()).trim(), SUMMARY_LENGTH);
    const last = joined(pieces);
    tell({
      ...base,
      status: failure === undefined ? "completed" : "failed",
      duration_ms: Math.round(performance.now() - started),
      ...(told === "" ? {} : { summary: told }),
      ...(last.length === 0 ? {} : { output: nextChunk(last) }),
    });
  };
  tell({ ...base, status: "running" });
  return { handle, end };
}

function joined(pieces: Buffer[]): Buffer {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}
