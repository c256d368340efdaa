import { randomBytes } from "node:crypto";
import { SQSClient } from "@aws-sdk/client-sqs";
import postgres from "postgres";
import { afterAll } from "vitest";
import { createQueues } from "../../localstack/parts/queues.ts";

// Runs before each test file is imported: a database and queues of its own, named by the environment, so that
// everything the file imports simply works.
const name = `t_${randomBytes(6).toString("hex")}`;
const adminUrl = process.env["WAYBILL_TEST_POSTGRES"] ?? "";

const [queues] = await Promise.all([
  createQueues(new SQSClient({ useQueueUrlAsEndpoint: false }), `${name}-`),
  asAdmin((sql) => sql.unsafe(`create database ${name} template template_waybill`)),
]);
Object.assign(process.env, queues, { DATABASE_URL: adminUrl.replace(/\/postgres$/, `/${name}`) });

afterAll(async () => {
  await asAdmin((sql) => sql.unsafe(`drop database ${name} with (force)`));
});

async function asAdmin(run: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(adminUrl, { max: 1, onnotice: () => {} });
  try {
    await run(sql);
  } finally {
    await sql.end();
  }
}
