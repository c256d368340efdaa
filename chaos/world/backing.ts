import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CreateQueueCommand, SetQueueAttributesCommand, SQSClient } from "@aws-sdk/client-sqs";
import postgres from "postgres";
import { createQueue } from "../../lib/runtime/aws/create-queue.ts";
import { freePort } from "../../localstack/parts/ports.ts";
import { type LocalPostgres, startPostgres } from "../../localstack/parts/postgres.ts";
import { createQueues, queuesOf } from "../../localstack/parts/queues.ts";
import { LOCAL_REGION } from "../../localstack/parts/sqs.ts";
import { HurtProcess, type Watch } from "../processes/process.ts";

/** On AWS it is six times the function's timeout; here nobody waits three minutes for what a crash held. */
const VISIBILITY_SECONDS = "10";

/** The password of the functions until it is rotated; nobody asks for it before. */
export const FIRST_PASSWORD = "first";

/** The agents of a run, each with a queue. */
export const AGENTS = ["mason", "clerk"] as const;

/** A Postgres that the harness stops as it likes. */
export class Database {
  readonly port: number;
  readonly #dir: string;
  readonly #logFile: string;
  #server: LocalPostgres | undefined;
  #own: postgres.Sql | undefined;

  constructor(dir: string, port: number, logFile: string) {
    this.#dir = dir;
    this.port = port;
    this.#logFile = logFile;
  }

  get url(): string {
    return `postgres://waybill@127.0.0.1:${this.port}/waybill`;
  }

  /** The address for the harness itself, whom no rotation shuts out. */
  get #ownUrl(): string {
    return this.url.replace("//waybill@", "//chaos@");
  }

  /** The folder of its data. */
  get dir(): string {
    return this.#dir;
  }

  /** The harness's own way to it, past all proxies. Reconnects by itself. */
  get sql(): postgres.Sql {
    this.#own ??= postgres(this.#ownUrl, {
      max: 3,
      onnotice: () => {},
      fetch_types: false,
      connection: { application_name: "chaos" },
      transform: { column: { from: postgres.toCamel } },
    });
    return this.#own;
  }

  async start(): Promise<void> {
    this.#server ??= await startPostgres({ dataDir: this.#dir, port: this.port, logFile: this.#logFile });
  }

  /** Ends it: `immediate` as a power cut does, without a checkpoint. */
  async stop(how: "fast" | "immediate"): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    await this.forget();
    if (how === "fast") return await server.stop();
    process.kill(Number(readFileSync(join(this.#dir, "postmaster.pid"), "utf8").split("\n")[0]), "SIGQUIT");
    await server.ended;
  }

  /** Has the functions asked for their password from now on. */
  async askPassword(): Promise<void> {
    const rules = "host all chaos 127.0.0.1/32 trust\nhost all waybill 127.0.0.1/32 scram-sha-256\n";
    writeFileSync(join(this.#dir, "pg_hba.conf"), rules);
    await this.sql`select pg_reload_conf()`;
  }

  /** Ends the harness's own connections. */
  async forget(): Promise<void> {
    const own = this.#own;
    this.#own = undefined;
    await own?.end({ timeout: 1 }).catch(() => {});
  }
}

/** An SQS that the harness stops as it likes. */
export class QueueServer {
  readonly port: number;
  readonly process: HurtProcess;
  readonly sqs: SQSClient;
  readonly #dataDir: string;

  constructor(dataDir: string, port: number, logFile: string, watch: Watch) {
    this.port = port;
    this.#dataDir = dataDir;
    const env = { CHAOS_SQS_PORT: String(port), CHAOS_SQS_DATA: dataDir };
    this.process = new HurtProcess({ name: "sqs", file: "chaos/processes/sqs-main.ts", env, logFile, watch });
    this.sqs = new SQSClient({
      endpoint: this.endpoint,
      region: LOCAL_REGION,
      credentials: { accessKeyId: "local", secretAccessKey: "local" },
      useQueueUrlAsEndpoint: false,
    });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts it over its data, or with none at all, and answers when it serves. */
  async start(fresh = false): Promise<void> {
    if (fresh) rmSync(this.#dataDir, { recursive: true, force: true });
    const { promise: ready, resolve, reject } = Promise.withResolvers<unknown>();
    this.process.listen(resolve, () => reject(new Error("SQS has ended. Its log is in the folder of the run.")));
    this.process.start();
    await ready;
  }

  /** Makes the queues, again where they are there, and answers the environment that names them. */
  async makeQueues(): Promise<Record<string, string>> {
    const { AGENT_QUEUES: _shipped, ...environment } = await createQueues(this.sqs);
    const Attributes = { VisibilityTimeout: VISIBILITY_SECONDS };
    for (const name of ["WORK_QUEUE_URL", "RESULTS_QUEUE_URL"]) {
      await this.sqs.send(new SetQueueAttributesCommand({ QueueUrl: environment[name], Attributes }));
    }
    const [code] = queuesOf().filter(({ name }) => name === "waybill-agent-code");
    if (code === undefined) throw new Error("deploy/agents.ts has no agent code to copy.");
    const urls = AGENTS.map(async (agent) => {
      const deadLetters = { ...code.deadLetters, name: `waybill-agent-${agent}-dlq` };
      return [agent, await createQueue(this.sqs, { ...code, name: `waybill-agent-${agent}`, deadLetters })] as const;
    });
    const lost = await this.sqs.send(new CreateQueueCommand({ QueueName: "chaos-lost" }));
    const LOST_QUEUE_URL = lost.QueueUrl ?? "";
    return {
      ...environment,
      LOST_QUEUE_URL,
      AGENT_QUEUES: JSON.stringify(Object.fromEntries(await Promise.all(urls))),
    };
  }
}

/** Makes what every run begins with: a migrated database with the agents of the harness and a record of each change of state. */
export async function makeTemplate(dir: string, root: string, logFile: string): Promise<void> {
  const database = new Database(dir, await freePort(), logFile);
  await database.start();
  try {
    const admin = postgres(database.url.replace(/waybill$/, "postgres"), { max: 1, onnotice: () => {} });
    await admin`create database waybill`;
    await admin`create role chaos superuser login`;
    await admin.end();
    execFileSync(process.execPath, [join(root, "bin", "migrate.ts")], {
      cwd: root,
      env: { ...process.env, DATABASE_URL: database.url, AGENTS_DIR: join(import.meta.dirname, "..", "agents") },
      stdio: ["ignore", "pipe", "pipe"],
    });
    await database.sql.unsafe(RECORD);
  } finally {
    await database.stop("fast");
  }
}

/** Keeps every state that a task was in, in the order of the changes; committed with them, so nothing is in it that was not. */
const RECORD = `
  alter role waybill password '${FIRST_PASSWORD}';
  create schema chaos;
  create table chaos.changes (
    change_id bigint generated always as identity primary key, task_id uuid not null, status text not null,
    attempt int not null, attempts_used int not null, at timestamptz not null default clock_timestamp()
  );
  create function chaos.note() returns trigger language plpgsql security definer as $$
  begin
    if tg_op = 'INSERT' or (old.status, old.attempt, old.attempts_used) is distinct from (new.status, new.attempt, new.attempts_used)
    then
      insert into chaos.changes (task_id, status, attempt, attempts_used)
      values (new.task_id, new.status::text, new.attempt, new.attempts_used);
    end if;
    return null;
  end $$;
  create trigger chaos_note after insert or update on tasks for each row execute function chaos.note();
`;
