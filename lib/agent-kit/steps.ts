import type { OutputChunk, Step } from "../protocol/messages.ts";
import { CHUNK_BYTES, cutLength, encodeChunk } from "./chunks.ts";
import type { StepHandle, WorkContext } from "./define-work.ts";
import { breathe } from "./event-loop.ts";
import { clip, messageOf, textOf } from "./text.ts";

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
  const open = new Set<OpenStep>();
  return {
    step: async (action, run) => {
      if (closed) throw new Error(`The step "${action}" came after the end of its work.`);
      if (count === MAX_STEPS) throw new Error(`The work has ${MAX_STEPS} steps already; tell less in more output.`);
      const current = new OpenStep(++count, action, tell, (bytes) => {
        outputBytes += bytes;
      });
      open.add(current);
      try {
        const answer = await run(current.handle);
        current.end();
        await breathe();
        return answer;
      } catch (error) {
        current.fail(messageOf(signal?.aborted ? signal.reason : error));
        current.end();
        throw error;
      } finally {
        open.delete(current);
      }
    },
    close: (reason) => {
      closed = true;
      for (const step of open) {
        step.fail(reason);
        step.end();
      }
      open.clear();
    },
    totals: () => ({ steps: count, output_bytes: outputBytes }),
  };
}

/** A step from its first word to its last. What is written to it is told in chunks, a moment after it came. */
class OpenStep {
  readonly #tell: (step: Step) => void;
  readonly #counted: (bytes: number) => void;
  readonly #started = performance.now();
  readonly #base: Pick<Step, "step_number" | "action" | "started_at">;
  #ended = false;
  #failure: string | undefined;
  #summary: string | undefined;
  /** The beginning of the output, for a step without a summary. */
  #head = Buffer.alloc(0);
  /** Output that is not told yet. */
  #pieces: Buffer[] = [];
  #pendingBytes = 0;
  #chunks = 0;
  #flushing: NodeJS.Timeout | undefined;

  /** What its author has of it. */
  readonly handle: StepHandle = {
    write: (piece) => this.#write(piece),
    summary: (text) => {
      this.#summary = textOf(text);
    },
    fail: (reason) => this.fail(reason),
  };

  /** Tells that it runs. */
  constructor(number: number, action: string, tell: (step: Step) => void, counted: (bytes: number) => void) {
    this.#tell = tell;
    this.#counted = counted;
    this.#base = {
      step_number: number,
      action: clip(action.trim() || "step", 200),
      started_at: new Date().toISOString(),
    };
    tell({ ...this.#base, status: "running" });
  }

  /** It will end as failed. */
  fail(reason: string): void {
    this.#failure = messageOf(reason);
  }

  /** Tells how it ended, once; what is written to it later is ignored. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#flushing);
    const summary = clip((this.#failure ?? this.#summary ?? this.#head.toString()).trim(), SUMMARY_LENGTH);
    const last = joined(this.#pieces);
    this.#tell({
      ...this.#base,
      status: this.#failure === undefined ? "completed" : "failed",
      duration_ms: Math.round(performance.now() - this.#started),
      ...(summary === "" ? {} : { summary }),
      ...(last.length === 0 ? {} : { output: this.#nextChunk(last) }),
    });
  }

  #write(piece: string | Uint8Array): void {
    if (this.#ended || piece.length === 0) return;
    const bytes = Buffer.from(piece as Uint8Array);
    this.#counted(bytes.length);
    if (this.#head.length < HEAD_BYTES) this.#head = Buffer.concat([this.#head, bytes.subarray(0, HEAD_BYTES)]);
    this.#pieces.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= CHUNK_BYTES) this.#flush(CHUNK_BYTES);
    if (this.#pendingBytes > 0) this.#flushing ??= setTimeout(() => this.#flushAll(), FLUSH_MS);
  }

  #flushAll(): void {
    this.#flushing = undefined;
    this.#flush(1);
  }

  /** Tells the output in chunks while at least `least` bytes wait, and keeps the rest. */
  #flush(least: number): void {
    let rest = joined(this.#pieces);
    while (rest.length >= least) {
      const length = cutLength(rest, CHUNK_BYTES);
      if (length === 0) break;
      this.#tell({ ...this.#base, status: "running", output: this.#nextChunk(rest.subarray(0, length)) });
      rest = rest.subarray(length);
    }
    this.#pieces = [rest];
    this.#pendingBytes = rest.length;
  }

  #nextChunk(bytes: Buffer): OutputChunk {
    return { chunk_number: this.#chunks++, ...encodeChunk(bytes) };
  }
}

function joined(pieces: Buffer[]): Buffer {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}
