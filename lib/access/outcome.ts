import type { Caller } from "./actor.ts";
import type { Reason } from "./refusal.ts";

/** Who called, and until when that is so where it ends by itself; or why nobody is taken for the caller. */
export type Outcome = { caller: Caller; until: Date | null } | { refused: Reason };
