import { coded } from "../../lib/agent-kit/define-work.ts";
import { endMarked, type Running, signalAll } from "./processes.ts";

/** From SIGTERM to SIGKILL. */
const KILL_MS = 300;

/** Ends a command that is not to run on: on abort, at its timeout, or when it is told to. The first reason counts. */
export class Stopping {
  /** Undefined where nothing has stopped it. */
  why: string | undefined;
  readonly #running: Running;
  readonly #signal: AbortSignal;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #onAbort = () => this.stop("stopped");
  #killing: NodeJS.Timeout | undefined;

  constructor(running: Running, signal: AbortSignal, timeoutSeconds: number | undefined) {
    this.#running = running;
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    if (timeoutSeconds === undefined) return;
    const why = coded(5006, `timed out after ${timeoutSeconds} s`);
    this.#timer = setTimeout(() => this.stop(why), timeoutSeconds * 1000);
  }

  /** Asks it to end, and soon kills it. Nothing where it is stopped already. */
  stop(why: string): void {
    if (this.why !== undefined) return;
    this.why = why;
    signalAll(this.#running, "SIGTERM");
    this.#killing = setTimeout(() => signalAll(this.#running, "SIGKILL"), KILL_MS);
  }

  /** To be called once the command has ended. Answers when nothing that it has started is left, where it was stopped. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    clearTimeout(this.#killing);
    this.#signal.removeEventListener("abort", this.#onAbort);
    if (this.why !== undefined) await endMarked(this.#running.mark);
  }
}
