// Which room owns which table of the database, and who else reads or writes it, with the reason. The owner's folders and those below
// do as they like. tables.test.ts holds the SQL of lib/ to it; the tables are those of migrations/schema.sql.

/**
 * A folder that is not the owner's, what it does to the table, and why. `write` includes reading; `write a, b`: its updates set
 * these columns and no other, and it neither inserts nor deletes.
 */
export type Guest = [who: string, does: "read" | "write" | `write ${string}`, because: string];

/** `months`: the file that makes and ends its partitions, where that is not the owner's. */
export type Owned = { owner: string; holds: string; others?: Guest[]; months?: string };

/** Reads every table, and writes none: that is its only use. */
export const READS_ALL = "lib/reports";

export const TABLES: Record<string, Owned> = {
  // Work.
  tasks: {
    owner: "lib/work",
    holds: "a row a piece of work: its request, its state, its lease",
    others: [
      ["lib/registry", "read", "Tells how much work an agent has and how much waits for it."],
      ["lib/router/decide", "read", "Counts what each agent has at once, and whose work a task was."],
      ["lib/router/learn", "read", "Learns from how work ended, and locks it for feedback."],
      [
        "lib/llm/accounts",
        "write external_ai_used",
        "Reads where a prompt may go, and notes before anybody has answered that it has left for a vendor.",
      ],
    ],
  },
  task_attempts: { owner: "lib/work", holds: "a row an attempt: who had it, since when, what became of it" },
  task_decisions: { owner: "lib/work", holds: "a row a decision of a person" },
  decision_keys: { owner: "lib/work", holds: "under which idempotency key what was decided" },
  execution_logs: {
    owner: "lib/work",
    holds: "a row a step of an attempt",
    others: [["lib/router/learn", "read", "A hand-over keeps the last steps before it."]],
  },
  execution_output: { owner: "lib/work", holds: "the output of the steps, in pieces" },
  outbox: { owner: "lib/work", holds: "messages to be sent, written with the change that causes them" },
  dispatch_refusals: {
    owner: "lib/work",
    holds: "work that the database refuses to start, why, and when it is tried again",
  },
  sweep_rounds: { owner: "lib/work", holds: "how far the sweep has come in each of its rounds" },
  agent_rate: {
    owner: "lib/work",
    holds: "when an agent's latest work started, for its rate",
    others: [["lib/router/decide", "read", "An agent whose rate is used up is not chosen first."]],
  },

  // The registry.
  agent_definitions: {
    owner: "lib/registry",
    holds: "a row a version of an agent's definition",
    others: [
      ["lib/work/dispatch", "read", "Claims within the limits of each agent, in one statement."],
      ["lib/router/snapshot", "read", "Scores what the active definitions say."],
      ["lib/router/decide", "read", "Warns of a fallback agent that is not there."],
      [
        "lib/router/learn",
        "write success_rate, quality_score, avg_execution_time_ms",
        "Shows with the definition what the agent is worth by now.",
      ],
    ],
  },
  agent_presence: {
    owner: "lib/registry",
    holds: "when an agent was last heard of",
    others: [["lib/router/decide", "read", "Who is silent is not chosen."]],
  },
  registry_state: {
    owner: "lib/registry",
    holds: "the revision of the definitions, which a trigger advances",
    others: [
      ["lib/router/snapshot", "read", "Reads the definitions again only when they have changed."],
      ["lib/router/decide", "read", "Asks whether they have."],
    ],
  },

  // The router.
  agent_performance: {
    owner: "lib/router",
    holds: "what an agent has come to in a type of work, fading",
    others: [["lib/registry", "read", "Tells it with the agent."]],
  },
  agent_transformation_events: { owner: "lib/router", holds: "a row a hand-over, in months" },
  router_performance_metrics: { owner: "lib/router", holds: "a row a decision and what came of it, in months" },

  // The LLM gateway.
  llm_calls: { owner: "lib/llm", holds: "a row an attempt at a call" },
  llm_texts: { owner: "lib/llm", holds: "what was said, where that is to be kept" },
  llm_spend: { owner: "lib/llm", holds: "what each budget has spent" },
  llm_reservations: { owner: "lib/llm", holds: "what calls under way may still cost" },
  llm_switch: { owner: "lib/llm", holds: "whether calls to vendors are allowed" },

  // Who may what.
  teams: { owner: "lib/access", holds: "a row a team" },
  users: { owner: "lib/access", holds: "a row a person" },
  team_memberships: { owner: "lib/access", holds: "who is in which team, and as what" },
  api_keys: {
    owner: "lib/access",
    holds: "a row a key: what it begins with, its hash, what it may",
  },
  api_key_use: { owner: "lib/access", holds: "what a key with limits has left" },

  audit_events: {
    owner: "lib/access",
    holds: "a row each time that somebody did something, in months",
    months: "lib/router/series.ts",
  },
  audit_chains: { owner: "lib/access", holds: "how far the chain of a team's record has come" },

  // The schema itself.
  schema_migrations: { owner: "lib/migrations", holds: "a row a migration that was run" },
};

/** Files whose SQL names tables that only a run knows, with the tables that it can name. */
export const DYNAMIC: Record<string, { tables: string[]; because: string }> = {
  "lib/work/dispatch/claim-ready.ts": { tables: [], because: "Writes a number into the statement, for the planner." },
  "lib/migrations/ledger.ts": { tables: ["schema_migrations"], because: "Runs the text of a migration." },
};

/** Present faults, table by table. To become empty: an entry that excuses nothing any more fails the test. */
export const TO_MEND: Record<string, Guest[]> = {};
