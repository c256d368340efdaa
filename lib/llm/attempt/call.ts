import type { Post } from "../../runtime/upstream.ts";
import type { CallFacts } from "../accounts/account.ts";
import type { Ledger } from "../accounts/ledger.ts";
import type { Failure } from "../config/failure.ts";
import type { Keyring } from "../config/keys.ts";
import type { Chain, Config, Model } from "../config/schema.ts";
import type { Json } from "../dialects/json.ts";
import type { HealthBook } from "../routing/health.ts";

/** What the gateway needs from outside; tests and the entry points give it. */
export type GatewayDeps = {
  config: Config;
  keys: Keyring;
  health: HealthBook;
  ledger: Ledger;
  post: Post;
  /** Epoch milliseconds. */
  now: () => number;
  /** From 0 to 1. */
  dice: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  newId: () => string;
  onWarning: (event: string, fields: Record<string, unknown>) => void;
};

/** One call of a caller, made when it is read and never changed. `body` is without the fields that are ours. */
export type LlmCall = {
  facts: CallFacts;
  chain: Chain;
  body: Json;
  /** Headers of the caller that the vendor should see, such as anthropic-beta. */
  headers: Record<string, string>;
  localOnly: boolean;
  /** plain: one JSON answer; live and whole: a stream, given as it comes or when it is complete. */
  mode: "plain" | "live" | "whole";
  callerGone: AbortSignal;
  /** Milliseconds that vendors may take in all, from when the call is let in. */
  timeMs: number;
};

/** A call that was let in. */
export type AdmittedCall = LlmCall & {
  /** Epoch milliseconds by which the answer must be there. */
  deadline: number;
};

/** An attempt that failed, as the caller is told of it. */
export type Tried = { model: string; class: string; status?: number | undefined; message: string };

/** How a call ended. */
export type CallEnd = {
  ok: boolean;
  /** The answer of a plain call. */
  text?: string;
  /** Who answered, or was asked last when the caller went away. */
  model?: Model;
  /** What the caller is told where nothing could answer. */
  failure?: Failure;
  tried: Tried[];
  attempts: number;
  /** Milliseconds spent on vendors and on waiting for them: the rest of a call's time is ours. */
  upstreamMs: number;
  /** USD as decimal text; null where one part of it is unknown. */
  costUsd: string | null;
};
