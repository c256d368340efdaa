import { join } from "node:path";
import { SQSClient } from "@aws-sdk/client-sqs";
import postgres from "postgres";
import { freePort } from "./ports.ts";
import { lackOfSpace, startPostgres } from "./postgres.ts";
import { createQueues } from "./queues.ts";
import { leaveShell } from "./shell.ts";
import { LOCAL_REGION, startSqs } from "./sqs.ts";

/** Postgres and SQS, ours or ones that the environment names, and the variables by which functions and agents find them. */
export type Services = {
  environment: Record<string, string>;
  region: string;
  /** Rejects when Postgres ends without having been asked to. */
  broken: Promise<never>;
  stop: () => Promise<void>;
};

const DATABASE = "waybill";

/**
 * Starts what the environment does not name: Postgres unless DATABASE_URL does, SQS unless AWS_ENDPOINT_URL_SQS does, both
 * with their data in `dataDir`; makes the database and the queues.
 */
export async function startServices(dataDir: string): Promise<Services> {
  const stops: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const one of stops.splice(0).toReversed()) await one();
  };
  try {
    const environment: Record<string, string> = {};
    let broken: Promise<never> = new Promise(() => {});
    if (!process.env["DATABASE_URL"]) {
      const server = await onFreePort(54_329, (port) =>
        startPostgres({
          dataDir: join(dataDir, "postgres"),
          port,
          logFile: join(dataDir, "logs", "postgres.log"),
        }),
      );
      let asked = false;
      stops.push(() => {
        asked = true;
        return server.stop();
      });
      broken = server.ended.then(async () => {
        if (asked) return await new Promise<never>(() => {});
        const log = join(dataDir, "logs", "postgres.log");
        const todo = `See why, and start again: tail -n 30 ${log}; npm start`;
        throw new Error(`Postgres ended. ${lackOfSpace(server.tail(), join(dataDir, "postgres")) ?? todo}`);
      });
      broken.catch(() => {});
      await createDatabase(server.url("postgres"));
      environment["DATABASE_URL"] = server.url(DATABASE);
    }
    let region = process.env["AWS_REGION"] || LOCAL_REGION;
    if (!process.env["AWS_ENDPOINT_URL_SQS"]) {
      const sqs = await onFreePort(9324, (port) => startSqs({ port, dataDir: join(dataDir, "sqs") }));
      stops.push(sqs.stop);
      region = LOCAL_REGION;
      const access = {
        AWS_ENDPOINT_URL_SQS: sqs.endpoint,
        AWS_ACCESS_KEY_ID: "local",
        AWS_SECRET_ACCESS_KEY: "local",
        AWS_REGION: region,
      };
      // Nothing local may reach an account of the one who starts it.
      leaveShell();
      Object.assign(process.env, access);
      Object.assign(environment, access, await createQueues(localSqs(region)));
    } else if (!process.env["WORK_QUEUE_URL"]) Object.assign(environment, await createQueues(localSqs(region)));
    Object.assign(process.env, environment);
    return { environment, region, broken, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Another stack may take the port between the look and the start: then another port is tried. */
async function onFreePort<T>(preferred: number, start: (port: number) => Promise<T>): Promise<T> {
  try {
    return await start(await freePort(preferred));
  } catch (error) {
    if (!/port is taken|EADDRINUSE/.test((error as Error).message)) throw error;
    return await start(await freePort());
  }
}

/** A client of the SQS API that AWS_ENDPOINT_URL_SQS names. */
export function localSqs(region: string): SQSClient {
  return new SQSClient({ region, useQueueUrlAsEndpoint: false });
}

async function createDatabase(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const [existing] = await sql`select 1 as one from pg_database where datname = ${DATABASE}`;
    if (existing === undefined) await sql.unsafe(`create database ${DATABASE}`);
  } finally {
    await sql.end();
  }
}
