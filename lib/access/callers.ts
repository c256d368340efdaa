/** Who may read: whoever has to do with work. */
export const READERS = ["reader", "submitter", "approver", "operator"] as const;
/** Who may end, repeat and pass on work that is there. */
export const KEEPERS = ["submitter", "approver", "operator"] as const;
/** Who may call models: what asks them for itself, and agents. */
export const LLM_CALLERS = ["llm", "agent"] as const;
