import { type AttemptOutcome, recordOf } from "../accounts/account.ts";
import type { Failure } from "../config/failure.ts";
import { SWITCHED_OFF } from "../config/failure.ts";
import type { Model, Timeouts } from "../config/schema.ts";
import { bridge } from "../dialects/dialect.ts";
import { at } from "../dialects/json.ts";
import { newWatch, type Watch } from "../dialects/watch.ts";
import type { Candidate } from "../routing/rules.ts";
import { type Attempt, MAX_ANSWER_BYTES } from "./attempt.ts";
import type { AdmittedCall, GatewayDeps } from "./call.ts";
import type { CallTotal } from "./call-total.ts";
import { OVER } from "./clock.ts";
import { plainAttempt } from "./plain-attempt.ts";
import { streamAttempt } from "./stream-attempt.ts";

type State = "running" | "streaming" | "answered" | "failed";

/** `others`: more may be asked after this one. Without its key a prompt would leave for a vendor that refuses it: `keyFault`. */
type Start = { attemptNumber: number; others: boolean; key: string | undefined; keyFault: Failure | undefined };

/** One attempt, under way from the moment it is made. */
export class Contender {
  readonly candidate: Candidate;
  readonly key: string | undefined;
  /** Settles when it has failed, has the whole answer, or (live) has begun to give it; never rejects. */
  readonly ready: Promise<void>;
  readonly #deps: GatewayDeps;
  readonly #call: AdmittedCall;
  readonly #total: CallTotal;
  readonly #attemptNumber: number;
  readonly #startedAt: number;
  readonly #watch: Watch = newWatch();
  readonly #over = new AbortController();
  readonly #leave: (() => void) | undefined;
  readonly #events: AsyncGenerator<string, Failure | undefined> | undefined;
  readonly #held: string[] = [];
  #state: State = "running";
  #failure: Failure | undefined;
  #text: string | undefined;
  #sent = false;
  #ttftMs: number | undefined;
  #closed = false;

  constructor(deps: GatewayDeps, call: AdmittedCall, total: CallTotal, candidate: Candidate, start: Start) {
    this.candidate = candidate;
    this.key = start.key;
    this.#deps = deps;
    this.#call = call;
    this.#total = total;
    this.#attemptNumber = start.attemptNumber;
    this.#startedAt = deps.now();
    if (call.callerGone.aborted) this.#stop();
    call.callerGone.addEventListener("abort", this.#stop, { once: true });
    const { killSwitch } = deps.ledger;
    this.#leave = candidate.model.provider.local ? undefined : killSwitch.enter(() => this.#over.abort(SWITCHED_OFF));
    const attempt = this.#attempt(start.others);
    if (call.mode !== "plain") this.#events = streamAttempt(attempt);
    this.ready = start.keyFault === undefined ? this.#run(attempt) : this.#fail(start.keyFault);
  }

  state(): State {
    return this.#state;
  }

  failure(): Failure | undefined {
    return this.#failure;
  }

  /** The answer of a plain call. */
  text(): string | undefined {
    return this.#text;
  }

  /** The events so far, once; more of them come from `next` while it is streaming. */
  takeHeld(): string {
    return this.#state === "failed" ? "" : this.#held.splice(0).join("");
  }

  async next(): Promise<string | undefined> {
    return this.#state === "streaming" ? await this.#read() : undefined;
  }

  /** Ends it, whatever it is doing, and adds what it was to the total; only the first outcome counts. */
  async close(outcome: AttemptOutcome): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const ms = this.#deps.now() - this.#startedAt;
    this.#leave?.();
    this.#call.callerGone.removeEventListener("abort", this.#stop);
    this.#stop();
    // The one that is still reading ends by the signal; a generator that waits at a yield has to be told.
    if (this.#state === "running") await this.ready;
    await this.#events?.return(undefined);
    if (this.#state === "answered" && outcome === "answered") this.#deps.health.answered(this.candidate.model);
    this.#total.upstreamMs += ms;
    this.#total.records.push(this.#record(this.#failure?.class === "switched_off" ? "aborted" : outcome));
  }

  readonly #stop = (): void => this.#over.abort(OVER);

  async #fail(failure: Failure): Promise<void> {
    this.#failure = failure;
    this.#state = "failed";
  }

  async #run(attempt: Attempt): Promise<void> {
    if (this.#events !== undefined) return await this.#hold();
    const answer = await plainAttempt(attempt);
    if (!answer.ok) return await this.#fail(answer.failure);
    this.#text = answer.text;
    this.#watch.finished = true;
    this.#state = "answered";
  }

  /** Keeps the events of a stream: of a live one until the answer has begun, of the others until it is whole. */
  async #hold(): Promise<void> {
    let chars = 0;
    for (let piece = await this.#read(); piece !== undefined; piece = await this.#read()) {
      this.#held.push(piece);
      chars += piece.length;
      if (chars > MAX_ANSWER_BYTES) {
        this.#held.length = 0;
        const message = `the answer has more than ${MAX_ANSWER_BYTES} characters`;
        return await this.#fail({ class: "bad_answer", message, lasting: true });
      }
      if (this.#call.mode === "live" && this.#watch.started) {
        this.#state = "streaming";
        return;
      }
    }
  }

  async #read(): Promise<string | undefined> {
    const step = await this.#events?.next();
    if (step !== undefined && !step.done) return step.value;
    this.#failure = step?.value ?? undefined;
    this.#state = this.#failure === undefined ? "answered" : "failed";
    return undefined;
  }

  #attempt(others: boolean): Attempt {
    const { model } = this.candidate;
    const { body, facts, headers, deadline } = this.#call;
    const wantsUsage = at(body, "stream_options", "include_usage") === true;
    return {
      model,
      key: this.key,
      bridge: bridge(facts.dialect, model, wantsUsage),
      body,
      headers,
      clocks: clocksFor(this.#deps.config.timeouts, this.#call, model, deadline - this.#startedAt, others),
      stopped: this.#over.signal,
      watch: this.#watch,
      post: this.#deps.post,
      now: this.#deps.now,
      onSent: () => {
        this.#sent = true;
        this.#deps.ledger.sent(facts, model, this.#attemptNumber);
      },
      onFirstToken: () => {
        this.#ttftMs ??= this.#deps.now() - this.#startedAt;
        this.#deps.health.took(model, this.#ttftMs);
      },
    };
  }

  #record(outcome: AttemptOutcome) {
    const attempt = {
      attemptId: this.#deps.newId(),
      attemptNumber: this.#attemptNumber,
      model: this.candidate.model,
      watch: this.#watch,
      body: this.#call.body,
      sent: this.#sent,
      ttftMs: this.#ttftMs,
      latencyMs: this.#deps.now() - this.#startedAt,
      startedAt: this.#startedAt,
      failure: this.#failure,
    };
    return recordOf(this.#call.facts, attempt, outcome);
  }
}

/** The clocks of one attempt, all inside what is left of the call; a silent vendor leaves the others a share of it. */
function clocksFor(
  base: Timeouts,
  { chain }: AdmittedCall,
  model: Model,
  remainingMs: number,
  others: boolean,
): Timeouts {
  const pick = (name: keyof Timeouts) => model.timeouts[name] ?? chain.timeouts[name] ?? base[name];
  const left = Math.max(1, remainingMs);
  const silence = others ? left * 0.6 : left;
  return {
    connect_ms: Math.min(pick("connect_ms"), silence),
    first_token_ms: Math.min(pick("first_token_ms"), silence),
    idle_ms: Math.min(pick("idle_ms"), left),
    total_ms: Math.min(pick("total_ms"), left),
  };
}
