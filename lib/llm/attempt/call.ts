import type { Post } from "../../runtime/upstream.ts";
import type { AttemptRecord, CallFacts } from "../accounts/account.ts";
import type { Failure } from "../config/failure.ts";
import type { Keyring } from "../config/keys.ts";
import type { KillSwitch } from "../config/kill-switch.ts";
import type { Chain, Config, Model } from "../config/schema.ts";
import type { Json } from "../dialects/json.ts";
import type { Watch } from "../dialects/watch.ts";
import type { HealthBook } from "../routing/health.ts";
import type { Plan } from "../routing/rules.ts";

/** The words that the loop, its contenders and the gateway share: a call, what it needs, and how it ended. */

/** What the loop needs from outside; tests and the entry points give it. */
export type RouteDeps = {
  config: Pick<Config, "timeouts">;
  keys: Keyring;
  health: HealthBook;
  killSwitch: KillSwitch;
  post: Post;
  now: () => number;
  dice: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  newId: () => string;
  /** An attempt has ended; called once for each. */
  onAttempt: (record: AttemptRecord, watch: Watch) => void;
  /** A prompt is leaving for this model. */
  onSent: (model: Model, attemptNumber: number) => void;
  onWarning: (event: string, fields: Record<string, unknown>) => void;
};

/** One call of a caller. */
export type Call = {
  facts: CallFacts;
  chain: Chain;
  body: Json;
  headers: Record<string, string>;
  /** plain: one JSON answer; live and whole: a stream, given as it comes or when it is complete. */
  mode: "plain" | "live" | "whole";
  plan: Plan;
  callerGone: AbortSignal;
  /** Epoch milliseconds by which the answer must be there. */
  deadline: number;
};

/** An attempt that failed, as the caller is told of it. */
export type Tried = { model: string; class: string; status?: number | undefined; message: string };
export type Result = {
  ok: boolean;
  /** The answer of a plain call. */
  text?: string;
  model?: Model;
  /** What the caller is told where nothing could answer. */
  failure?: Failure;
  tried: Tried[];
  /** Part of the answer had been given when it failed. */
  committed: boolean;
  attempts: number;
  /** Spent on vendors and on waiting for them: the rest of a call's time is ours. */
  upstreamMs: number;
  costUsd: string | null;
};
