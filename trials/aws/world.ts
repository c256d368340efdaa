import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { IAMClient } from "@aws-sdk/client-iam";
import { GetFunctionConfigurationCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { DeleteSecretCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { ListQueuesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { DeleteParametersCommand, PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import postgres from "postgres";
import { type Api, apiOf } from "../../bin/deploy/api.ts";
import { findStack, needStack, type Stack } from "../../bin/deploy/stack.ts";
import { ours, type Target } from "../../bin/deploy/target.ts";
import { readStage } from "../../deploy/stage.ts";
import { Failed } from "../../lib/terminal/command.ts";
import { freePort } from "../../localstack/parts/ports.ts";
import { type LocalPostgres, startPostgres } from "../../localstack/parts/postgres.ts";
import { must } from "../must.ts";

/** What a command of the deployment did. */
export type Ran = { code: number; said: string };

/** The databases of a run: one a stage, and one that a stage moves to. */
const DATABASES = ["trial", "moved", "trial2"];

/** What a run has: an AWS that is none of Amazon's, a Postgres of its own, and two stages that only it deploys. */
export class World {
  readonly region = process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"] ?? "eu-central-1";
  readonly stage = "trial";
  readonly second = "trial2";
  readonly iam = new IAMClient({ region: this.region });
  readonly folder = mkdtempSync(join(tmpdir(), "waybill-aws-"));
  readonly #ssm = new SSMClient({ region: this.region });
  readonly #secrets = new SecretsManagerClient({ region: this.region });
  readonly #postgres: LocalPostgres;
  readonly #dataDir: string;

  private constructor(server: LocalPostgres, dataDir: string) {
    this.#postgres = server;
    this.#dataDir = dataDir;
  }

  /** Throws Failed where AWS_ENDPOINT_URL names no emulator, or the stages of a run are there already. */
  static async make(): Promise<World> {
    const endpoint = process.env["AWS_ENDPOINT_URL"] ?? "";
    if (!URL.canParse(endpoint) || new URL(endpoint).hostname.endsWith(".amazonaws.com")) {
      throw new Failed(
        "This deploys, breaks and removes stages: it needs an emulator of AWS that runs functions on this machine (CloudFormation, " +
          "Lambda, API Gateway, SQS, IAM). Start one and name it: AWS_ENDPOINT_URL=http://127.0.0.1:… npm run try:aws",
      );
    }
    const dataDir = mkdtempSync(join(tmpdir(), "waybill-aws-pg-"));
    const world = new World(await startPostgres({ dataDir, port: await freePort(), durable: false }), dataDir);
    try {
      await world.#refuseLeftovers();
      await world.sql("postgres", async (sql) => {
        for (const name of DATABASES) await sql.unsafe(`create database ${name}`);
      });
      world.write("");
      return world;
    } catch (error) {
      await world.#end();
      throw error;
    }
  }

  /** Throws Failed with the command that takes away what a run that was cut has left. */
  async #refuseLeftovers(): Promise<void> {
    for (const stage of [this.stage, this.second]) {
      const file = this.fileOf(stage);
      if (existsSync(file)) throw new Failed(`${file} is there already: a run that was cut? Take it away: rm ${file}`);
      const target = this.target(stage);
      const stack = await findStack(target);
      if (stack === undefined) continue;
      throw new Failed(
        `${stack.name} is there already: a run that was cut? Take it away: ${ours(target, "remove --yes")}`,
      );
    }
  }

  target(stage = this.stage): Target {
    return { stage: readStage(stage), region: this.region, params: [] };
  }

  /** Where a database of the run is, as a connection string without a password. */
  databaseUrl(name: string): string {
    return this.#postgres.url(name);
  }

  /** Runs a command of the deployment as a person would, with these lines as its input. */
  async deploy(words: readonly string[], { stage = this.stage, input = "" } = {}): Promise<Ran> {
    const child = this.#start(words, stage);
    child.stdin.end(input);
    return await whatItDid(child);
  }

  /** The same, ended by SIGTERM once it says this. */
  async deployUntil(words: readonly string[], says: string): Promise<Ran> {
    const child = this.#start(words, this.stage);
    let said = "";
    child.stdout.on("data", (piece: Buffer) => {
      said += piece.toString();
      if (said.includes(says)) child.kill("SIGTERM");
    });
    return await whatItDid(child);
  }

  #start(words: readonly string[], stage: string): ChildProcessWithoutNullStreams {
    const args = ["bin/deploy/main.ts", ...words, "--stage", stage, "--region", this.region];
    return spawn(process.execPath, args);
  }

  /** The same; throws what it said where it does not end with `code`, or does not say all of `says`. */
  async expect(
    words: readonly string[],
    code: number,
    says: readonly string[] = [],
    more: { stage?: string; input?: string } = {},
  ) {
    const ran = await this.deploy(words, more);
    const missing = says.filter((one) => !ran.said.includes(one));
    const tail = ran.said.trim().split("\n").slice(-15).join("\n    ");
    must(ran.code === code, `deploy ${words.join(" ")} ended with ${ran.code}, not ${code}:\n    ${tail}`);
    must(missing.length === 0, `deploy ${words.join(" ")} did not say ${JSON.stringify(missing)}:\n    ${tail}`);
    return ran.said;
  }

  /** What the first stage is, from its file, where callers sign: its policies are tried. The second takes keys, as the default is. */
  write(text: string): void {
    writeFileSync(this.fileOf(this.stage), `authorization: AWS_IAM\n${text}`);
  }

  fileOf(stage: string): string {
    return `deploy/stages/${stage}.yml`;
  }

  async stack(stage = this.stage): Promise<Stack> {
    return await needStack(this.target(stage));
  }

  /** What the functions have in their environment. */
  async environment(): Promise<Record<string, string>> {
    const lambda = new LambdaClient({ region: this.region });
    const command = new GetFunctionConfigurationCommand({ FunctionName: `waybill-${this.stage}-sweep` });
    return (await lambda.send(command)).Environment?.Variables ?? {};
  }

  /** The queues whose names begin so. */
  async queuesOf(QueueNamePrefix: string): Promise<string[]> {
    const sqs = new SQSClient({ region: this.region, useQueueUrlAsEndpoint: false });
    const { QueueUrls = [] } = await sqs.send(new ListQueuesCommand({ QueueNamePrefix }));
    return QueueUrls;
  }

  async api(stage = this.stage): Promise<Api> {
    return apiOf(this.target(stage), await this.stack(stage));
  }

  async putParameter(name: string, value: string): Promise<void> {
    const Name = `/waybill/${this.stage}/${name}`;
    await this.#ssm.send(new PutParameterCommand({ Name, Value: value, Type: "String", Overwrite: true }));
  }

  async deleteParameter(name: string): Promise<void> {
    await this.#ssm.send(new DeleteParametersCommand({ Names: [`/waybill/${this.stage}/${name}`] }));
  }

  /** Runs statements on a database of the run. */
  async sql<T>(database: string, run: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    const sql = postgres(this.databaseUrl(database), { max: 1, onnotice: () => {} });
    try {
      return await run(sql);
    } finally {
      await sql.end();
    }
  }

  /** Takes away all that the run has made, whatever became of it. */
  async remove(): Promise<void> {
    for (const stage of [this.second, this.stage]) {
      const stack = await findStack(this.target(stage)).catch(() => undefined);
      if (stack?.protected) {
        rmSync(this.fileOf(stage), { force: true });
        await this.deploy([], { stage });
      }
      if (stack !== undefined) await this.deploy(["remove", "--yes"], { stage });
      rmSync(this.fileOf(stage), { force: true });
      const Names = ["database-url", "database-secret-arn"].map((name) => `/waybill/${stage}/${name}`);
      await this.#ssm.send(new DeleteParametersCommand({ Names }));
      for (const secret of ["database", "llm/anthropic-api-key", "llm/openai-api-key"]) {
        const SecretId = `waybill/${stage}/${secret}`;
        await this.#secrets
          .send(new DeleteSecretCommand({ SecretId, ForceDeleteWithoutRecovery: true }))
          .catch(() => {});
      }
    }
    await this.#end();
  }

  async #end(): Promise<void> {
    await this.#postgres.stop();
    for (const folder of [this.folder, this.#dataDir]) rmSync(folder, { recursive: true, force: true });
  }
}

async function whatItDid(child: ChildProcessWithoutNullStreams): Promise<Ran> {
  const code = new Promise<number>((resolve) => child.once("close", (ended) => resolve(ended ?? 1)));
  const said = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  return { code: await code, said: said.join("\n") };
}
