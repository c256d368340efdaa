// Who may import whom. Read it top to bottom: a folder may import only what stands above it, `lib/wiring` is where the rooms meet,
// and below that come the entry points, the local stack and the commands. imports.test.ts holds the code to it; tests are exempt.

/** What the files of a folder, or one file, may import besides their own folder. What is not here is refused. */
export type Row = {
  /** `lib/x`: the files of a folder; `lib/x/**`: also of those below it; `lib/x.ts`: one file; a package; `node:*`: what starts so. */
  may?: string[];
  /** The same, but only by `import type`. */
  types?: string[];
  /** Its settings.ts declares settings, with the value of lib/runtime/settings.ts. */
  settings?: true;
};

/** What all of lib may build on. */
const plain = ["lib/errors.ts", "lib/time.ts", "lib/backoff.ts", "lib/input", "zod"];

/** The edge, where the process ends. It knows no message and no room. */
const edge = (ours: string[], packages: string[]): Row => ({ may: [...plain, ...ours, ...packages] });

/** A room of the domain: its row names what it takes of other rooms; of the edge types alone. Other values lib/wiring introduces. */
const room = (ours: string[], packages: string[] = [], types: string[] = []): Row => ({
  may: [...plain, "lib/protocol", "lib/access", ...ours, ...packages],
  types: ["lib/runtime/**", ...types],
  settings: true,
});

/** An entry point: its routes, its use cases, and the wiring that has put them together. It opens no database itself. */
const entry = (ours: string[], packages: string[] = []): Row => ({
  may: [
    ...plain,
    "lib/wiring",
    "lib/wiring/calls",
    "lib/access",
    "lib/runtime",
    "lib/runtime/{aws,http}",
    ...ours,
    ...packages,
  ],
  types: ["lib/**", "aws-lambda"],
});

/** What runs on a machine of its own: whatever Node has, and of ours what is named. */
const program = (ours: string[], packages: string[] = []): Row => ({
  may: [...plain, "node:*", ...ours, ...packages],
});

export const FOLDERS: Record<string, Row> = {
  // Beneath everything.
  "lib/errors.ts": {},
  "lib/time.ts": {},
  "lib/backoff.ts": {},
  "lib/input": { may: ["zod", "yaml"] },
  "lib/protocol": { may: ["lib/input", "zod", "node:crypto"] },
  // Who may what. Keys, people and tokens are the rooms beneath it.
  "lib/access": { may: ["lib/errors.ts"], types: ["lib/runtime/postgres"] },

  // The edge.
  "lib/terminal": program([]),
  "lib/runtime": edge([], ["node:crypto", "node:fs", "node:http", "node:https", "node:path"]),
  "lib/runtime/aws": edge(["lib/runtime"], ["@aws-sdk/*", "aws-lambda"]),
  "lib/runtime/postgres": edge(["lib/runtime", "lib/runtime/aws"], ["postgres", "node:fs", "node:net", "node:tls"]),
  "lib/runtime/health": edge(["lib/runtime", "lib/runtime/{aws,postgres}"], ["@aws-sdk/client-sqs"]),
  // Each route says what it asks of its caller.
  "lib/runtime/http": {
    ...edge(
      ["lib/runtime", "lib/runtime/{health,postgres}"],
      ["aws-lambda", "node:crypto", "node:events", "node:stream"],
    ),
    types: ["lib/access"],
  },
  "lib/migrations": edge(["lib/runtime", "lib/runtime/postgres"], ["umzug", "node:*"]),

  // The kit, and the agents that are written with it, depend on the protocol and a queue, never on the control plane.
  "lib/agent-kit/journal": program(["lib/protocol", "lib/runtime"]),
  "lib/agent-kit/transports": program(
    ["lib/protocol", "lib/runtime", "lib/runtime/aws"],
    ["@aws-sdk/client-sqs", "@smithy/signature-v4", "amqplib"],
  ),
  "lib/agent-kit": program(["lib/protocol", "lib/runtime", "lib/agent-kit/{journal,transports}"]),
  "agents/code": program(["lib/agent-kit", "lib/runtime/{env,settings}.ts"]),
  "agents/infra": program(["lib/agent-kit"]),
  agents: program(["lib/agent-kit", "agents/{code,infra}"]),

  // The rooms of the domain.
  "lib/access/members": room([]),
  "lib/access/keys": room(["lib/access/members"], ["node:crypto"]),
  "lib/access/signing": room([]),
  "lib/access/identity": room(["lib/access/{keys,members}"], ["jose", "lru-cache", "node:crypto"]),

  // What whoever runs Waybill does on its database, for no team has asked for it.
  "lib/access/audit": room([], ["node:crypto"]),
  "lib/access/operator": room(["lib/access/{keys,members}"]),

  "lib/registry/patterns": room([], ["picomatch", "re2js", "stemmer"]),
  "lib/registry": room(["lib/registry/patterns"], ["compare-versions", "node:crypto", "node:fs/promises", "node:path"]),

  "lib/work": room([]),
  "lib/work/core": room(["lib/work"]),
  "lib/work/attempts": room(["lib/work", "lib/work/core"]),
  "lib/work/reading": room(["lib/work", "lib/work/core"], ["range-parser", "node:timers/promises"]),
  "lib/work/results": room(["lib/work", "lib/work/{core,attempts}"], ["node:crypto"], ["lib/access/signing"]),
  "lib/work/dispatch": room(["lib/work", "lib/work/{core,attempts}"]),
  "lib/work/submission": room(["lib/work", "lib/work/{core,attempts}"], ["node:crypto"]),

  // The patterns are pure: the router runs those that the registry has checked.
  "lib/router": room([]),
  "lib/router/score": room(["lib/registry/patterns"], ["minisearch"], ["lib/router", "lib/work/core"]),
  "lib/router/snapshot": room(
    ["lib/router", "lib/router/score"],
    ["lru-cache", "node:crypto"],
    ["lib/registry", "lib/work/core"],
  ),
  "lib/router/decide": room(["lib/router", "lib/router/{score,snapshot}"], ["lru-cache"], ["lib/work/core"]),
  "lib/router/learn": room(
    ["lib/router", "lib/router/{score,snapshot}", "lib/work/core/unknown-work.ts"],
    [],
    ["lib/work/core"],
  ),

  "lib/llm/config": room([], ["@pydantic/genai-prices"]),
  "lib/llm/dialects": room(["lib/llm/config"], ["eventsource-parser"], ["openai", "@anthropic-ai/sdk"]),
  "lib/llm/routing": room(["lib/llm/{config,dialects}"]),
  "lib/llm/accounts": room(["lib/llm/{config,dialects,routing}"], ["lru-cache", "p-limit"]),
  "lib/llm/attempt": room(["lib/llm/{config,dialects,routing,accounts}"], ["eventsource-parser"]),
  "lib/llm": room(["lib/llm/{config,dialects,routing,accounts,attempt}"]),

  // Reads the tables of every room, and no room imports it. The names of the states are those of the life cycle,
  // and the status of work that is being stopped is told as callers see it.
  "lib/reports": room(["lib/work/core/{lifecycle,task-row,unknown-work,wire}.ts"]),

  // Where the rooms meet: builds them, and alone opens the database. The calls: what answers each route.
  "lib/wiring": program(
    ["lib/{migrations,protocol}", "lib/{access,runtime,registry,work,router,llm,reports}/**"],
    ["aws-lambda", "lru-cache"],
  ),
  "lib/wiring/calls": room([
    "lib/wiring",
    "lib/{access,runtime,registry,work,router,llm,reports}/**",
    "lib/migrations",
    "migrations/names.json",
  ]),

  // Entry points. serverless.yml and deploy/http.yml name them, and nothing imports them but tests.
  "functions/access": entry(["lib/access/{audit,keys,members,signing}/routes.ts"]),
  "functions/agents": entry(["lib/registry/routes.ts"]),
  "functions/llm": entry([]),
  "functions/reports": entry(["lib/reports/routes.ts"]),
  "functions/system": entry(["lib/migrations", "docs/openapi.json", "migrations/names.json"]),
  "functions/work": entry(["lib/work/core/routes.ts"]),

  // What a deployment is made of: read by the framework's plugin, by the deploy command, by what generates its files, and by the local
  // stack, which makes the same queues.
  deploy: program(
    ["lib/runtime", "lib/runtime/{aws,postgres}", "lib/wiring/{new-queue,settings}.ts"],
    ["fastest-levenshtein"],
  ),

  // The local stack: runs the entry points as bundles, whose names only a run knows.
  "localstack/processes": program([]),
  // The settings of the bridge that it starts.
  "localstack/parts": program(
    [
      "deploy/queues.ts",
      "localstack/processes",
      "localstack/bridge/settings.ts",
      "lib/access/keys/secret.ts",
      "lib/protocol/api-key.ts",
      "lib/runtime",
      "lib/runtime/aws",
      "lib/agent-kit/transports",
      "lib/terminal",
    ],
    ["@aws-sdk/client-sqs", "amqplib", "fauxqs", "postgres", "yaml"],
  ),
  "localstack/functions": program(
    [
      "localstack/{parts,processes}",
      "lib/access",
      "lib/access/{keys,operator}",
      "lib/runtime",
      "lib/runtime/{http,postgres}",
      "lib/wiring/routes.ts",
      "a computed name",
    ],
    ["@aws-sdk/client-sqs", "aws-lambda", "esbuild", "lru-cache"],
  ),
  // What it starts reads settings of every room: a start looks at all of them.
  localstack: program([
    "localstack/{parts,functions,processes}",
    "localstack/bridge/settings.ts",
    "agents/code/env.ts",
    "lib/{runtime,wiring,migrations,terminal}",
    "lib/runtime/postgres",
    "lib/agent-kit/transports/env.ts",
    "lib/llm/config",
  ]),
  "localstack/demo": program(["localstack", "localstack/parts", "lib/terminal", "lib/work/core/answers.ts"]),
  "localstack/bridge/flow": program(["lib/agent-kit/transports"]),
  "localstack/bridge/sqs": program(
    ["localstack/bridge/flow", "lib/{protocol,runtime}", "lib/runtime/aws"],
    ["@aws-sdk/client-sqs", "@smithy/signature-v4"],
  ),
  "localstack/bridge/rabbitmq": program(
    ["localstack/bridge/flow", "lib/runtime", "lib/agent-kit/transports"],
    ["amqplib"],
  ),
  "localstack/bridge": program(
    ["localstack/bridge/{flow,sqs,rabbitmq}", "lib/{protocol,runtime}", "lib/runtime/aws", "lib/agent-kit/transports"],
    ["@aws-sdk/client-sqs", "amqplib"],
  ),

  // Developers' commands, and the benchmarks: those may reach into the rooms that they measure.
  "bin/seed": program(["lib/access", "lib/runtime/**", "lib/{work,router,llm}/**"], ["postgres"]),
  bin: program(
    [
      "bin/seed",
      "localstack/parts",
      "lib/{access,migrations,protocol,reports,terminal,wiring}",
      "lib/{runtime,registry,router,llm}/**",
    ],
    ["postgres", "yaml"],
  ),
  "bin/deploy": program(
    [
      "bin",
      "deploy",
      "lib/terminal",
      "lib/{runtime,migrations}/**",
      "lib/llm/config",
      "lib/agent-kit",
      "lib/agent-kit/transports",
      "lib/wiring",
    ],
    ["@aws-sdk/*"],
  ),
  "bin/generate": program(
    ["bin", "cli", "deploy", "agents/code", "localstack", "localstack/{parts,bridge}", "lib/**"],
    ["yaml"],
  ),
  // The command of users: over the HTTP API, and, where that has no call, on the database.
  cli: program(
    [
      "bin",
      "localstack/parts",
      "lib/access",
      "lib/access/{audit,keys,operator}",
      "lib/{runtime,terminal}",
      "lib/protocol/api-key.ts",
    ],
    ["commander"],
  ),
  bench: program(["lib/**", "localstack", "localstack/{parts,processes}"], ["esbuild", "postgres", "yaml"]),
  "bench/bridge": program(
    ["bench", "lib/**", "localstack/bridge/**", "tests/support/queues"],
    ["amqplib", "@aws-sdk/client-sqs"],
  ),
  "bench/access": program(["bench", "lib/**"]),
  "bench/edge": program(["bench", "lib/**"], ["esbuild", "hono", "zod"]),
  "bench/llm": program(["bench", "lib/**", "localstack/{parts,processes,functions}"], ["esbuild", "yaml"]),
  "bench/registry": program(["bench", "lib/**"], ["postgres"]),
  "bench/router": program(["bench", "lib/**"], ["pure-rand", "yaml"]),

  // The chaos harness: the invariants judge a history alone; what breaks and what is broken are beneath the command.
  "chaos/history": program([]),
  "chaos/invariants": { may: ["chaos/history"] },
  "chaos/planted": program([]),
  "chaos/ways": program(["chaos/history"]),
  "chaos/load": program(["chaos/history"], ["pure-rand"]),
  "chaos/processes": program(
    ["chaos/{history,ways}", "lib/agent-kit", "localstack", "localstack/{functions,parts,processes}"],
    ["yaml"],
  ),
  "chaos/world": program(
    [
      "chaos/{history,load,planted,processes,ways}",
      "lib/runtime/aws",
      "localstack/{functions,parts}",
      "tests/support/queues",
    ],
    ["postgres", "@aws-sdk/client-sqs"],
  ),
  "chaos/faults": program(["chaos/{load,processes,ways,world}"], ["postgres", "@aws-sdk/client-sqs"]),
  chaos: program(
    [
      "chaos/{faults,history,invariants,load,planted,ways,world}",
      "lib/{protocol,terminal}",
      "localstack",
      "localstack/parts",
    ],
    ["@aws-sdk/client-sqs", "p-limit"],
  ),

  // What is tried by hand, on machines that have what it takes.
  trials: program(["lib/terminal"]),
  "trials/aws": program(
    ["bin/deploy", "deploy", "localstack/parts", "lib/terminal", "trials"],
    ["@aws-sdk/*", "postgres"],
  ),
  "trials/compose": program(
    ["localstack", "localstack/parts", "lib/terminal", "trials"],
    ["@aws-sdk/client-sqs", "p-limit"],
  ),
};

/** What a person who meets a refusal is told first: the reason of the rule. The first that fits counts. */
export const REASONS: [of: string, reason: string][] = [
  ["functions/**", "Nothing but tests imports an entry point."],
  ["lib/reports/**", "Reports read every room and no room imports them."],
  ["lib/wiring/**", "What a room needs of others is handed to it by lib/wiring; it does not fetch it."],
  ["lib/agent-kit/**", "The kit is for agents; the control plane speaks to them by messages."],
  [
    "lib/runtime/postgres/**",
    "Only lib/wiring opens the database; others take db: Db, a type, as their first argument.",
  ],
  ["lib/runtime/**", "Of lib/runtime a room takes the types; lib/wiring hands over the value."],
  ["postgres", "Domain code takes db: Db as its first argument; the driver lives in lib/runtime/postgres."],
  ["umzug", "Only lib/migrations migrates."],
  ["@aws-sdk/*", "AWS lives in lib/runtime/aws."],
  ["aws-lambda", "AWS lives in lib/runtime; a use case knows no event."],
  ["lib/**", "Rooms import what is below them, and of other rooms the types; values meet in lib/wiring."],
  ["*", "A package is named in the row of each folder that needs it."],
];

/**
 * Pure: what they answer follows from their arguments alone, so a test needs no clock, no database and no stand-in. A folder
 * means its files but settings.ts. Held over what they import as values, too, however far away.
 */
export const PURE = [
  "lib/work/core/lifecycle.ts",
  "lib/work/results/settle.ts",
  "lib/work/attempts/{hear,ends,stop,expire,work}.ts",
  "lib/registry/patterns",
  "lib/router/score",
  "lib/router/decide/choice.ts",
  "lib/llm/routing/rules.ts",
  "lib/llm/routing/needs.ts",
  "lib/backoff.ts",
];

/** A present fault: the file, what it imports, and what is to become of it. */
export type Mend = [from: string, to: string, because: string];

/** To become empty: an entry that excuses nothing any more fails the test. */
export const TO_MEND: Mend[] = [];
