import { join } from "node:path";
import { describeEnding, type Started, start } from "../../localstack/processes/program.ts";
import { ROOT } from "../../localstack/stack.ts";

/** What the processes of a run tell the one who writes its history. */
export type Watch = {
  hurt: (pid: number, how: "killed" | "frozen") => void;
  crashed: (name: string, how: string, said: string) => void;
};

export type ProcessOptions = {
  name: string;
  /** The file that it runs, from the project's root. */
  file: string;
  env: Record<string, string>;
  logFile: string;
  watch: Watch;
};

/** Modules that every process of a run loads first. */
const PRELOADED = ["localstack/processes/follow-parent.ts", "chaos/planted/clock.ts", "chaos/planted/edit-sources.ts"];

/** A process that the harness hurts. One that has ended can be started again. */
export class HurtProcess {
  readonly name: string;
  readonly #options: ProcessOptions;
  #running: Started | undefined;
  #expected = false;
  #hears: (message: unknown) => void = () => {};
  #ended: () => void = () => {};

  constructor(options: ProcessOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get pid(): number {
    return this.#running?.pid ?? 0;
  }

  get alive(): boolean {
    return this.#running?.hasEnded() === false;
  }

  /** Who hears what it says, and that it has ended. */
  listen(hears: (message: unknown) => void, ended: () => void = () => {}): void {
    this.#hears = hears;
    this.#ended = ended;
  }

  /** Starts it, unless it runs. */
  start(): void {
    if (this.alive) return;
    const { file, env, logFile } = this.#options;
    const preloaded = PRELOADED.flatMap((module) => ["--import", join(ROOT, module)]);
    const running = start({
      command: process.execPath,
      args: [...preloaded, join(ROOT, file)],
      cwd: ROOT,
      env: { PATH: process.env["PATH"], NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"], ...env },
      channel: true,
      logFile,
    });
    this.#running = running;
    this.#expected = false;
    running.onMessage((message) => this.#hears(message));
    void this.#awaitEnd(running);
  }

  async #awaitEnd(running: Started): Promise<void> {
    const ending = await running.ended;
    if (!this.#expected) this.#options.watch.crashed(this.name, describeEnding(ending), running.tail());
    this.#ended();
  }

  /** Ends it as a power cut does. */
  async kill(): Promise<void> {
    if (!this.alive) return;
    this.#expected = true;
    this.#options.watch.hurt(this.pid, "killed");
    process.kill(this.pid, "SIGKILL");
    await this.#running?.ended;
  }

  /** Stops its time: it runs on with `thaw`. */
  freeze(): void {
    if (!this.alive) return;
    this.#options.watch.hurt(this.pid, "frozen");
    process.kill(this.pid, "SIGSTOP");
  }

  thaw(): void {
    if (this.alive) process.kill(this.pid, "SIGCONT");
  }

  /** Sets its clock so many milliseconds off. */
  clock(ms: number): void {
    this.say({ clock: ms });
  }

  say(message: object): void {
    if (this.alive) this.#running?.send(message);
  }

  /** Asks it to stop, and ends it where it does not within `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#expected = true;
    this.thaw();
    await this.#running?.stop({ graceMs });
  }
}
