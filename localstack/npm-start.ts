import { resolve } from "node:path";
import { styleText } from "node:util";
import { readSettings } from "../lib/runtime/settings.ts";
import { command, WrongUse } from "../lib/terminal/command.ts";
import { readable } from "./log-lines.ts";
import { keyFile, keyOption, near } from "./parts/keys.ts";
import { localSettings } from "./parts/local-settings.ts";
import { type Broker, findBroker, readQueue, shown } from "./parts/rabbitmq.ts";
import { ROOT, type Stack, startStack } from "./stack.ts";

const usage = `Usage: npm start -- [--port N] [--data DIR] [--no-agents] [--queue sqs|rabbitmq]

  --port N      where the HTTP API listens on 127.0.0.1 (3000; 0 takes any free port)
  --data DIR    where tasks, queues and logs are kept between starts (.waybill)
  --no-agents   start no agents; work waits until its agent is there
  --queue NAME  what the agents take their work from: sqs, or rabbitmq, which must run
                already (RABBITMQ_URL); then a bridge joins it with the functions' SQS
  --help        this text

Ctrl-C or SIGTERM stops everything and exits 0.`;

/** So many lines of what a program said before it ended. */
const MOST_WORDS = 8;

type Arguments = { port: number; dataDir: string; agents: boolean; rabbitmq: boolean };

process.exit(
  await command({
    usage,
    options: {
      port: { type: "string", default: "3000" },
      data: { type: "string" },
      "no-agents": { type: "boolean", default: false },
      queue: { type: "string", default: "sqs" },
    },
    run: async ({ values: { port, data = defaultDataDir(), queue, "no-agents": noAgents } }) => {
      if (data === "") throw new WrongUse("--data must name a directory");
      const args = { port: readPort(port), dataDir: resolve(data), agents: !noAgents, rabbitmq: readQueue(queue) };
      return await main(args);
    },
  }),
);

function defaultDataDir(): string {
  return resolve(ROOT, readSettings({ dataDir: localSettings.dataDir }).dataDir);
}

function readPort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new WrongUse(`--port must be a number from 0 to 65535, not ${JSON.stringify(text)}`);
}

async function main(args: Arguments): Promise<number> {
  const stopping = new AbortController();
  const asked = new Promise<"asked">((resolveAsked) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => {
        stopping.abort();
        resolveAsked("asked");
      });
    }
  });
  console.log(styleText("dim", "Starting Postgres, SQS, the functions and the agents …"));
  let stack: Stack;
  let broker: Broker | undefined;
  try {
    broker = args.rabbitmq ? await findBroker(args.dataDir) : undefined;
    stack = await startStack({
      ...args,
      broker,
      signal: stopping.signal,
      onLine: (source, line) => {
        const text = readable(source, line);
        if (text !== undefined) console.log(text);
      },
      onCrash: (name, how, waitMs, said) =>
        console.log(styleText("yellow", `${name} ended (${how}), starts again in ${waitMs} ms${lastWords(said)}`)),
    });
  } catch (error) {
    if (stopping.signal.aborted) return 0;
    console.error(styleText("red", (error as Error).message));
    return 1;
  }
  welcome(stack, args, broker);
  const outcome = await Promise.race([asked, stack.failed]);
  if (outcome === "asked") console.log(styleText("dim", "\nStopping …"));
  else console.error(styleText("red", outcome.message));
  await stack.stop();
  if (outcome === "asked") console.log(styleText("dim", "Stopped. Everything is kept for the next start."));
  return outcome === "asked" ? 0 : 1;
}

/** What a program said before it ended: what was no line of its log, or else the last one. */
function lastWords(said: string): string {
  const lines = said.split("\n").filter((line) => line.trim() !== "");
  const plain = lines.filter((line) => !line.startsWith("{"));
  const told = plain.length > 0 ? plain.slice(-MOST_WORDS) : lines.slice(-1);
  return told.length === 0 ? "" : `:\n${told.map((line) => `    ${line}`).join("\n")}`;
}

function welcome(
  { url, environment, agents, leftOut, key, newKey }: Stack,
  { dataDir }: Arguments,
  broker: Broker | undefined,
): void {
  const dir = near(dataDir);
  const kept = near(keyFile(dataDir));
  const running = Object.entries(agents?.pids() ?? {}).map(([name, pid]) => `${name} (pid ${pid})`);
  const rows = [
    ["database", environment["DATABASE_URL"] ?? "yours, from DATABASE_URL"],
    ["queues", environment["AWS_ENDPOINT_URL_SQS"] ?? "yours, from AWS_ENDPOINT_URL_SQS"],
    ...(broker === undefined ? [] : [["rabbitmq", shown(broker)]]),
    ["llm", `${environment["LLM_STREAM_URL"] ?? url}/llm/v1 (streams; ${url}/llm/v1 answers whole)`],
    ["agents", running.join(", ") || "none"],
    ["key", newKey ? `${key}  (the owner's; kept in ${kept}, and not shown again)` : `${kept} (the owner's)`],
    ["data", `${dir} (logs in ${dir}/logs)`],
    ...(leftOut.length === 0 ? [] : [["left out", `${leftOut.join(", ")} of your shell: docs/configuration.md`]]),
  ];
  const work = { request_text: "Say hello", work_type: "code.run", parameters: { command: "echo", args: ["hello"] } };
  console.log(
    [
      ...rows.map(([name = "", value = ""]) => `  ${styleText("dim", name.padEnd(9))} ${value}`),
      "",
      `${styleText("green", "ready")} ${styleText("bold", url)}`,
      "",
      "Submit a piece of work from another terminal:",
      "",
      styleText("cyan", `curl -s ${keyOption(dataDir)} ${url}/work -d '${JSON.stringify(work)}'`),
      "",
      styleText("dim", "Ctrl-C stops everything."),
      "",
    ].join("\n"),
  );
}
