const TAIL_BYTES = 2000;
const LAST_LINES = 10;

/** What a command has written, up to the limit. */
export type Written = {
  stdoutBytes: number;
  stderrBytes: number;
  /** The end of each, for people. */
  stdoutEnd: string;
  stderrEnd: string;
};

/** The output of a command as it comes: passed on up to a limit, which counts for both streams together. */
export class Output {
  readonly #limit: number;
  readonly #write: (bytes: Uint8Array) => void;
  readonly #bytes = { stdout: 0, stderr: 0 };
  readonly #tails = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  #heardAt = performance.now();

  constructor(limit: number, write: (bytes: Uint8Array) => void) {
    this.#limit = limit;
    this.#write = write;
  }

  /** Passes on as much of it as the limit leaves. Answers whether that was all of it. */
  take(name: "stdout" | "stderr", piece: Buffer): boolean {
    this.#heardAt = performance.now();
    const left = this.#limit - this.#bytes.stdout - this.#bytes.stderr;
    const kept = piece.subarray(0, left);
    this.#bytes[name] += kept.length;
    this.#tails[name] = Buffer.concat([this.#tails[name], kept]).subarray(-TAIL_BYTES);
    if (kept.length > 0) this.#write(kept);
    return kept.length === piece.length;
  }

  /** How long nothing has come. */
  silentMs(): number {
    return performance.now() - this.#heardAt;
  }

  written(): Written {
    return {
      stdoutBytes: this.#bytes.stdout,
      stderrBytes: this.#bytes.stderr,
      stdoutEnd: lastLines(this.#tails.stdout),
      stderrEnd: lastLines(this.#tails.stderr),
    };
  }
}

/** The last few lines with something in them, without control characters. */
function lastLines(tail: Buffer): string {
  const lines = tail.toString().split("\n");
  const telling = lines.map((line) => line.replaceAll(/\p{Cc}/gu, " ").trimEnd()).filter((line) => line !== "");
  return telling.slice(-LAST_LINES).join("\n");
}
