import type { Failure } from "../config/failure.ts";
import { SWITCHED_OFF } from "../config/failure.ts";
import { type Candidate, decide, type NextStep, type Plan } from "../routing/rules.ts";
import type { AdmittedCall, CallEnd, GatewayDeps } from "./call.ts";
import { addFailed, type CallTotal, endOf } from "./call-total.ts";
import { CandidateKey } from "./candidate-key.ts";
import { Contender } from "./contender.ts";
import { firstReady, hedgeDelay } from "./hedge.ts";

/**
 * Tries the plan until one answers: the one loop that acts on what `decide` says. Yields the events of a streamed answer as text
 * and returns how it ended; `total` grows with each attempt. Nothing of a failed attempt is ever given, except what a live
 * stream had given before it broke.
 */
export async function* tryInOrder(
  deps: GatewayDeps,
  call: AdmittedCall,
  plan: Plan,
  total: CallTotal,
): AsyncGenerator<string, CallEnd> {
  // Over the whole call, so that a wait before another try ends too.
  const off = new AbortController();
  const local = plan.tries.every(({ model }) => model.provider.local);
  const leave = local ? undefined : deps.ledger.killSwitch.enter(() => off.abort(SWITCHED_OFF));
  const run = new Run(deps, call, total, plan.tries, off.signal);
  try {
    for (let step = run.decide(); step.do !== "stop"; step = run.decide()) {
      const ready = await run.act(step);
      if (ready !== undefined) return yield* run.give(ready);
    }
    return run.gaveUp();
  } finally {
    // Something is open when the caller went away and the loop was closed at a yield.
    await run.close();
    leave?.();
  }
}

/** Where a call is: who was asked, who may be asked after that, and what is under way. */
class Run {
  readonly #deps: GatewayDeps;
  readonly #call: AdmittedCall;
  readonly #total: CallTotal;
  readonly #off: AbortSignal;
  #rest: readonly Candidate[];
  #candidate: Candidate | undefined;
  #tries = 0;
  #failure: Failure | undefined;
  /** The failure has not been told to the health book: what it says there depends on what follows. */
  #untold = false;
  #open: Contender[] = [];
  #hedgeMs: number | undefined;
  #key: CandidateKey;
  #refusedKey: string | undefined;

  constructor(deps: GatewayDeps, call: AdmittedCall, total: CallTotal, tries: readonly Candidate[], off: AbortSignal) {
    this.#deps = deps;
    this.#call = call;
    this.#total = total;
    this.#rest = tries;
    this.#off = off;
    this.#key = new CandidateKey(deps);
  }

  decide(): NextStep {
    const { now, dice } = this.#deps;
    const following = this.#rest[0];
    const step = decide({
      chain: this.#call.chain,
      candidate: this.#candidate,
      tries: this.#tries,
      failure: this.#failure,
      rest: this.#rest,
      underWay: this.#open.length,
      hedgeMs: following !== undefined && this.#mayAsk(following) ? this.#hedgeMs : undefined,
      keyMayChange: this.#key.mayChange(),
      callerGone: this.#call.callerGone.aborted,
      remainingMs: this.#call.deadline - now(),
      dice: dice(),
    });
    if (this.#untold && step.do !== "renew key") this.#tellFailure(step);
    return step;
  }

  /** Does what was decided. Answers who has something to give, as soon as one has. */
  async act(step: Exclude<NextStep, { do: "stop" }>): Promise<Contender | undefined> {
    switch (step.do) {
      case "wait":
        return await this.#wait(step.ms);
      case "retry":
        await this.#pause(step.waitMs);
        if (!this.#call.callerGone.aborted) await this.#start();
        return undefined;
      case "renew key":
        if (await this.#renewKey()) await this.#start();
        return undefined;
      case "next":
        [this.#candidate, ...this.#rest] = step.rest;
        this.#tries = 0;
        this.#key = new CandidateKey(this.#deps);
        await this.#start();
        return undefined;
    }
  }

  /** Gives what a contender has, to its end. */
  async *give(winner: Contender): AsyncGenerator<string, CallEnd> {
    const { model } = winner.candidate;
    for (const other of this.#open) if (other !== winner) await this.#drop(other);
    const held = winner.takeHeld();
    // Kept before it is given, so that a caller who hangs up now does not make it look unfinished.
    if (winner.state() === "answered") await winner.close("answered");
    if (held !== "") yield held;
    for (let piece = await winner.next(); piece !== undefined; piece = await winner.next()) yield piece;
    if (winner.state() === "answered") {
      await winner.close("answered");
      const text = winner.text();
      return endOf(this.#total, { ok: true, model, ...(text === undefined ? {} : { text }) });
    }
    const gone = this.#call.callerGone.aborted;
    await winner.close(gone ? "aborted" : "cut");
    const failure = winner.failure() ?? LOST;
    if (!gone) {
      addFailed(this.#total, model, failure);
      this.#deps.health.failed(model, failure, this.#deps.now());
    }
    return endOf(this.#total, { failure, model });
  }

  /** How a call ended that nobody has answered. */
  gaveUp(): CallEnd {
    const model = this.#call.callerGone.aborted ? this.#candidate?.model : undefined;
    return endOf(this.#total, {
      ...(this.#failure === undefined ? {} : { failure: this.#failure }),
      ...(model === undefined ? {} : { model }),
    });
  }

  async close(): Promise<void> {
    for (const one of this.#open) await one.close("aborted");
  }

  #mayAsk({ model }: Candidate): boolean {
    return model.provider.local || !this.#off.aborted;
  }

  /** Starts an attempt at the candidate; none where that has been switched off. */
  async #start(): Promise<void> {
    const candidate = this.#candidate;
    if (candidate === undefined) return;
    if (!this.#mayAsk(candidate)) {
      this.#failure = { class: "switched_off", message: SWITCHED_OFF.message };
      return;
    }
    this.#tries++;
    const attemptNumber = ++this.#total.attempts;
    const { model, probe } = candidate;
    if (probe) this.#deps.health.probes(model, this.#deps.now());
    const key = await this.#key.read(model.provider);
    const others = this.#rest.length > 0;
    this.#open.push(new Contender(this.#deps, this.#call, this.#total, candidate, { attemptNumber, others, ...key }));
    // Only the first attempt of a call is hedged.
    this.#hedgeMs = attemptNumber === 1 ? hedgeDelay(this.#deps, this.#call.chain, candidate) : undefined;
  }

  async #wait(ms: number | undefined): Promise<Contender | undefined> {
    const ready = await firstReady(this.#open, ms);
    if (ready === undefined) this.#hedgeMs = 0;
    if (ready?.state() !== "failed") return ready;
    if (this.#open.length > 1) await this.#drop(ready);
    else await this.#failed(ready);
    this.#open = this.#open.filter((one) => one !== ready);
    return undefined;
  }

  async #failed(contender: Contender): Promise<void> {
    const gone = this.#call.callerGone.aborted;
    await contender.close(gone ? "aborted" : "failed");
    this.#failure = contender.failure() ?? LOST;
    this.#candidate = contender.candidate;
    this.#refusedKey = contender.key;
    if (gone) return;
    addFailed(this.#total, contender.candidate.model, this.#failure);
    this.#untold = true;
  }

  /** Hangs up on the other one of two: its cost counts, its time does not, as the call waited for the first alone. */
  async #drop(loser: Contender): Promise<void> {
    // Asked before it is closed: hanging up on it makes it look failed too.
    const lost = loser.state() === "failed" ? loser.failure() : undefined;
    const { upstreamMs } = this.#total;
    await loser.close(lost === undefined ? "aborted" : "failed");
    this.#total.upstreamMs = upstreamMs;
    if (lost === undefined) return;
    this.#deps.health.failed(loser.candidate.model, lost, this.#deps.now());
    addFailed(this.#total, loser.candidate.model, lost);
  }

  async #pause(ms: number): Promise<void> {
    const { callerGone } = this.#call;
    const signal = this.#candidate?.model.provider.local ? callerGone : AbortSignal.any([callerGone, this.#off]);
    await this.#deps.sleep(ms, signal);
    this.#total.waitedMs += ms;
  }

  /** Whether there is another key to try. */
  async #renewKey(): Promise<boolean> {
    const provider = this.#candidate?.model.provider;
    const renewed = provider !== undefined && (await this.#key.renew(provider, this.#refusedKey));
    if (renewed) this.#untold = false;
    return renewed;
  }

  #tellFailure(step: NextStep): void {
    this.#untold = false;
    const { health, now, onWarning } = this.#deps;
    const [model, failure] = [this.#candidate?.model, this.#failure];
    if (model === undefined || failure === undefined) return;
    const { class: error_class, status } = failure;
    // A rate limit that is waited out says nothing of the model's health.
    if (!(step.do === "retry" && error_class === "rate_limit")) health.failed(model, failure, now());
    // A key, an account or a name is wrong, and stays so until a person mends it.
    if (error_class === "auth" || error_class === "quota" || error_class === "not_found")
      onWarning("llm vendor refused", { model: model.name, provider: model.provider.name, error_class, status });
  }
}

const LOST: Failure = { class: "network", message: "the vendor's connection ended" };
