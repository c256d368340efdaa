/** What an `error` message can say. The numbers are stable: agents in other languages compare them. */
export const errorCodes = {
  5001: {
    name: "internal_error",
    meaning: "The receiver failed for a reason of its own; the same message may work later.",
  },
  5002: { name: "unknown_work_type", meaning: "The agent has no handler for this work_type." },
  5003: { name: "invalid_message", meaning: "The message does not follow the protocol; sending it again cannot work." },
  5004: {
    name: "invalid_parameters",
    meaning: "The message is well formed, its parameters are not what this work_type takes.",
  },
  5005: {
    name: "refused",
    meaning: "The agent's own rules forbid this work, such as a command that is not on its list.",
  },
  5006: { name: "timed_out", meaning: "The work ran longer than its timeout_seconds and was stopped." },
  5007: {
    name: "handover_refused",
    meaning:
      "The work cannot be passed on so: no agent has this name, or it went round too often. The attempt has failed.",
  },
  5008: {
    name: "not_authentic",
    meaning:
      "The message is not signed by whom it says that it is from. Nothing was done; no work is named, for it may be forged.",
  },
} as const satisfies Record<number, { name: string; meaning: string }>;

/** A code of the table above. */
export type ErrorCode = keyof typeof errorCodes;

/** The code that tells of a message whose sender is not who it says. */
export const NOT_AUTHENTIC = 5008 satisfies ErrorCode;

/** The code that answers a message which does not parse. */
export const INVALID_MESSAGE = 5003 satisfies ErrorCode;
