import { setTimeout as sleep } from "node:timers/promises";
import type { ClientCall, Piece, Plan } from "../history/history.ts";
import type { Journal } from "../history/journal.ts";
import type { Dice } from "./dice.ts";

/** What the load of a run is like. */
export type LoadOptions = {
  /** Pieces of work a second. */
  perSecond: number;
  /** Probabilities: that work is cancelled, that its agent fails it once, that one attempt is all it has. */
  cancelled: number;
  failing: number;
  once: number;
  /** That it never ends by itself. */
  hanging: number;
  /** That it is passed on to the other agent. */
  passedOn: number;
  /** Milliseconds after which it is cancelled or passed on, from and to. */
  decideMs: readonly [number, number];
  /** Milliseconds that a piece of work takes, from and to. */
  ms: readonly [number, number];
  /** Lines of output of a step, from and to. */
  lines: readonly [number, number];
};

export const USUAL: LoadOptions = {
  perSecond: 6,
  cancelled: 0.06,
  failing: 0.12,
  once: 0.4,
  hanging: 0,
  passedOn: 0.04,
  decideMs: [0, 1_500],
  ms: [50, 900],
  lines: [0, 3],
};

const ASK_MS = 40_000;
/** A caller that was not answered asks again until this is over. */
const PATIENCE_MS = 60_000;

/** Where the HTTP API is, and the key for it. */
export type Api = { url: string; key: string };

/** A caller that writes down what it is promised, and asks again under the same key until it is told. */
export class Client {
  readonly pieces: Piece[] = [];
  /** By key, what was promised. */
  readonly promised = new Map<string, string>();
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #journal: Journal<ClientCall>;
  readonly #asking = new Set<Promise<void>>();

  constructor({ url, key }: Api, journal: Journal<ClientCall>) {
    this.#url = url;
    this.#headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
    this.#journal = journal;
  }

  /** Submits at the rate of `options` until the signal is aborted. Answers at once; `finish` waits for what is under way. */
  submitUntil(signal: AbortSignal, dice: Dice, options: LoadOptions): void {
    this.#keep(this.#flow(signal, dice, options));
  }

  /** Waits until nothing is asked any more. */
  async finish(): Promise<void> {
    while (this.#asking.size > 0) await Promise.all(this.#asking);
  }

  /** Submits one piece of work, until it is taken or patience is over. */
  async submit(piece: Piece): Promise<string | undefined> {
    this.pieces.push(piece);
    return await this.#submitted(piece);
  }

  /** A piece of work of a caller who wants too much at once. */
  noisy(dice: Dice): Piece {
    return {
      ...pieceOf(dice, { ...USUAL, failing: 0, ms: [200, 600] }),
      agent: "mason",
      approval: "auto",
      lane: "noisy",
    };
  }

  /** Has calls made in the background. */
  also(call: () => Promise<void>): void {
    this.#keep(call());
  }

  /** Makes one call and writes down what came of it. */
  async call(what: ClientCall["what"], key: string, path: string, body: string): Promise<ClientCall> {
    const at = Date.now();
    const began = performance.now();
    const took = () => Math.round(performance.now() - began);
    const headers = { ...this.#headers, ...(path === "/work" ? { "idempotency-key": key } : {}) };
    let call: ClientCall;
    try {
      const signal = AbortSignal.timeout(ASK_MS);
      const response = await fetch(this.#url + path, { method: "POST", headers, body, signal });
      const answer = (await response.json().catch(() => ({}))) as { task_id?: string; detail?: string };
      call = { at, tookMs: took(), what, key, status: response.status };
      if (answer.task_id !== undefined) call.taskId = answer.task_id;
      if (!response.ok) call.error = answer.detail ?? "";
    } catch (error) {
      call = { at, tookMs: took(), what, key, status: 0, error: (error as Error).message };
    }
    this.#journal.note(call);
    return call;
  }

  #keep(promise: Promise<void>): void {
    const kept = promise.catch((error: unknown) => console.error(error)).finally(() => this.#asking.delete(kept));
    this.#asking.add(kept);
  }

  async #flow(signal: AbortSignal, dice: Dice, options: LoadOptions): Promise<void> {
    const began = performance.now();
    for (let count = 0; !signal.aborted; count++) {
      this.#keep(this.#one(dice.of(String(count)), options));
      const due = began + ((count + 1) * 1000) / options.perSecond;
      await sleep(Math.max(0, due - performance.now()), undefined, { signal }).catch(() => {});
    }
  }

  /** A piece of work with what a caller does to it: asks twice, asks otherwise under the same key, approves, cancels. */
  async #one(dice: Dice, options: LoadOptions): Promise<void> {
    const piece = pieceOf(dice, options);
    const twice = dice.chance(0.15);
    const otherwise = dice.chance(0.08);
    const cancels = dice.chance(options.cancelled);
    const passesOn = !cancels && dice.chance(options.passedOn);
    const decideMs = dice.whole(...options.decideMs);
    const tries = [this.submit(piece), ...(twice ? [this.#submitted(piece)] : [])];
    const [taskId] = await Promise.all(tries);
    if (taskId === undefined) return;
    if (otherwise) await this.call("conflict", piece.key, "/work", bodyOf({ ...piece, maxAttempts: 7 }));
    if (piece.approval === "required") await this.#until("approve", piece.key, `/work/${taskId}/approve`);
    if (!cancels && !passesOn) return;
    await sleep(decideMs);
    if (cancels) return await this.#until("cancel", piece.key, `/work/${taskId}/cancel`);
    const to_agent = piece.agent === "mason" ? "clerk" : "mason";
    await this.#until("handover", piece.key, `/work/${taskId}/handover`, { reason: "chaos", to_agent });
  }

  async #submitted(piece: Piece): Promise<string | undefined> {
    const { taskId } = await this.#again(async () => await this.call("submit", piece.key, "/work", bodyOf(piece)));
    if (taskId !== undefined) this.promised.set(piece.key, taskId);
    return taskId;
  }

  /** Decides, until somebody answers: what is decided by then is refused with 409. */
  async #until(what: "approve" | "cancel" | "handover", key: string, path: string, more: object = {}): Promise<void> {
    await this.#again(async () => await this.call(what, key, path, JSON.stringify(more)));
  }

  async #again(ask: () => Promise<ClientCall>): Promise<ClientCall> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const call = await ask();
      const answered = call.status >= 200 && call.status < 500;
      if (answered || performance.now() > until) return call;
      await sleep(300);
    }
  }
}

/** The body by which a piece of work is submitted: always the same for the same piece. */
export function bodyOf({ agent, plan, maxAttempts, approval }: Piece): string {
  return JSON.stringify({
    request_text: "a piece of work of the chaos harness",
    work_type: "chaos.run",
    to_agent: agent,
    parameters: plan,
    max_attempts: maxAttempts,
    approval,
    timeout_seconds: plan.hang ? 5 : 60,
  });
}

/** A piece of work by the dice. */
export function pieceOf(dice: Dice, { failing, once, ms, hanging, lines }: LoadOptions): Piece {
  const maxAttempts = dice.chance(once) ? 1 : 3;
  const plan: Plan = {
    ms: dice.whole(ms[0], ms[1]),
    steps: dice.whole(1, 3),
    lines: dice.whole(...lines),
    fail: maxAttempts > 1 && dice.chance(failing) ? 1 : 0,
    fatal: dice.chance(0.04),
    hang: dice.chance(hanging),
  };
  const lane = dice.chance(0.2) ? "calm" : "main";
  const agent = lane === "calm" ? "clerk" : "mason";
  const approval = dice.chance(0.15) ? "required" : "auto";
  return { key: dice.uuid(), agent, plan, maxAttempts, approval, lane };
}
