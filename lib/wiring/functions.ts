/**
 * What a function may do beyond its log and its traces. `database`: read the secret with its password; `wake`: send to the work
 * queue; `tell agents`: send to any agent's queue; `take …`: consume that queue and bury its poison; `look at queues`: their
 * counts; `look after agents`: the counts and tags of any agent's queue; `find queues`: their URLs; `vendors' keys`: the secrets of the LLM gateway; `sign`: the secret
 * with which agents are told.
 */
export type Right =
  | "database"
  | "wake"
  | "tell agents"
  | "take work"
  | "take results"
  | "look at queues"
  | "look after agents"
  | "find queues"
  | "vendors' keys"
  | "sign";

/** A Lambda function: what it may do and, where it is not the stage's default, how long it may take. */
export type FunctionSpec = {
  /** Its folder in functions/. */
  room: string;
  may: readonly Right[];
  timeoutSeconds?: number;
  /** Settings of its own, by their place in serverless.yml. */
  settings?: "llm";
  /** `routes`: the calls of its routes; `rest`: every other call; `url`: a function URL; `yml`: what serverless.yml says; `authorizer`: API Gateway asks it. */
  events: "routes" | "rest" | "url" | "yml" | "authorizer";
};

const reads = ["database"] as const;

/**
 * Every function by the name it is deployed under. `npm run generate` makes deploy/http.yml and deploy/roles.yml of it and of the
 * routes: which calls are whose is said by the routes alone.
 */
export const functions = {
  "submit-work": { room: "work", may: ["database", "wake"], events: "routes" },
  "list-work": { room: "work", may: reads, events: "routes" },
  "get-work": {
    room: "work",
    may: reads,
    // Waits up to 25 s for the end of the work; the API itself gives up after 30.
    timeoutSeconds: 29,
    events: "routes",
  },
  "get-logs": { room: "work", may: reads, events: "routes" },
  "get-output": { room: "work", may: reads, timeoutSeconds: 29, events: "routes" },
  "decide-work": { room: "work", may: ["database", "wake", "tell agents", "sign"], events: "routes" },
  "list-agents": { room: "agents", may: reads, events: "routes" },
  "get-agent": { room: "agents", may: reads, events: "routes" },
  "manage-agent": {
    room: "agents",
    may: ["database", "find queues"],
    // Asks SQS for the queue of a new agent.
    timeoutSeconds: 20,
    events: "routes",
  },
  "report-presence": { room: "agents", may: reads, events: "routes" },
  "get-report": { room: "reports", may: reads, timeoutSeconds: 29, events: "routes" },
  "get-health": { room: "system", may: ["database", "look at queues"], events: "routes" },
  "get-openapi": { room: "system", may: [], events: "routes" },
  "llm-route": {
    room: "llm",
    may: ["database", "vendors' keys"],
    // A stream is answered whole here: the API gives up after 30 s.
    timeoutSeconds: 29,
    settings: "llm",
    events: "routes",
  },
  "llm-stream": {
    room: "llm",
    may: ["database", "vendors' keys"],
    // The same calls at a URL of its own, where streams come as they are made and an answer may take minutes.
    timeoutSeconds: 300,
    settings: "llm",
    events: "url",
  },
  "manage-access": { room: "access", may: reads, events: "routes" },
  "get-audit": { room: "access", may: reads, timeoutSeconds: 29, events: "routes" },
  "get-signing-keys": { room: "access", may: ["sign"], events: "routes" },
  // Who calls, before the function is: its time is that of every call, and API Gateway gives it 10 s.
  authorize: { room: "access", may: reads, timeoutSeconds: 9, events: "authorizer" },
  "not-found": { room: "system", may: [], events: "rest" },
  dispatch: { room: "work", may: ["database", "wake", "tell agents", "sign", "take work"], events: "yml" },
  "record-result": { room: "work", may: ["database", "wake", "tell agents", "sign", "take results"], events: "yml" },
  sweep: {
    room: "work",
    may: ["database", "wake", "tell agents", "sign", "look at queues", "look after agents"],
    events: "yml",
  },
  migrate: { room: "system", may: reads, events: "yml" },
  "give-key": { room: "access", may: reads, events: "yml" },
} as const satisfies Record<string, FunctionSpec>;

export type FunctionName = keyof typeof functions;
