import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { keepPresent } from "../../bench/postgres.ts";
import { migrate } from "../../lib/migrations/migrator.ts";
import { prepareDatabase } from "../../lib/wiring/database.ts";
import { freePort } from "../../localstack/parts/ports.ts";
import { startPostgres } from "../../localstack/parts/postgres.ts";
import { LOCAL_REGION, startSqs } from "../../localstack/parts/sqs.ts";
import { startLender } from "./lender.ts";
import { notedSkips } from "./skips.ts";

/** One Postgres, one SQS and at most one RabbitMQ for the whole run; every test file gets a clone of the migrated template database. */
export default async function setup(): Promise<() => Promise<void>> {
  const dir = await mkdtemp(join(tmpdir(), "waybill-tests-"));
  const server = await startPostgres({ dataDir: join(dir, "postgres"), port: await freePort(), durable: false });
  const queues = await startSqs({ port: 0 });

  const admin = postgres(server.url("postgres"), { max: 1, onnotice: () => {} });
  await admin`create database template_waybill`;
  await admin.end();
  const template = { DATABASE_URL: server.url("template_waybill") };
  await migrate({ command: "up" }, template);
  await prepareDatabase(template);
  // However long the run takes: no agent of the template is passed over because nobody has heard of it.
  await keepPresent(template.DATABASE_URL);

  const skips = join(dir, "skips.txt");
  Object.assign(process.env, {
    WAYBILL_TEST_SKIPS: skips,
    WAYBILL_TEST_POSTGRES: server.url("postgres"),
    AWS_ENDPOINT_URL_SQS: queues.endpoint,
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_REGION: LOCAL_REGION,
    LOG_LEVEL: process.env["LOG_LEVEL"] ?? "silent",
  });
  const lender = await startLender(server.url("postgres"));
  process.env["WAYBILL_TEST_LENDER"] = lender.url;

  return async () => {
    await lender.stop();
    await queues.stop();
    await server.stop();
    for (const line of notedSkips(skips)) process.stdout.write(`${line}\n`);
    rmSync(dir, { recursive: true, force: true });
  };
}
