import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { SQSClient } from "@aws-sdk/client-sqs";
import postgres from "postgres";
import { createQueues } from "../../localstack/parts/queues.ts";
import { type Broker, startBroker } from "./queues/rabbitmq.ts";

/** Lends the processes of the test files what the process of the run makes once for all. */
export type Lender = { url: string; stop: () => Promise<void> };

/**
 * Lends over HTTP, on loopback: POST /place answers the environment of a test file, a database and queues of its own; DELETE /place
 * drops the database whose URL is the body; POST /broker answers the URL of a RabbitMQ, which starts when it is first asked for.
 * What goes wrong is answered as 500 with the reason.
 */
export async function startLender(adminUrl: string): Promise<Lender> {
  const admin = postgres(adminUrl, { max: 3, onnotice: () => {} });
  const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
  let broker: Promise<Broker> | undefined;
  const calls: Record<string, (body: string) => Promise<string>> = {
    "POST /place": async () => {
      const name = `t_${randomBytes(6).toString("hex")}`;
      const [queues] = await Promise.all([
        createQueues(sqs, `${name}-`),
        admin`create database ${admin(name)} template template_waybill`,
      ]);
      return JSON.stringify({ ...queues, DATABASE_URL: adminUrl.replace(/\/postgres$/, `/${name}`) });
    },
    "DELETE /place": async (databaseUrl) => {
      await admin`drop database ${admin(new URL(databaseUrl).pathname.slice(1))} with (force)`;
      return "";
    },
    "POST /broker": async () => (await (broker ??= startBroker())).url,
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    // A file that blocks its process does not see that a kept connection was closed, and would ask over it.
    response.setHeader("connection", "close");
    try {
      const call = calls[`${request.method} ${request.url}`];
      if (call === undefined) response.writeHead(404);
      response.end(await call?.(await text(request)));
    } catch (error) {
      response.writeHead(500).end((error as Error).message);
    }
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = async () => {
    server.close();
    server.closeAllConnections();
    await Promise.allSettled([admin.end(), broker?.then((started) => started.stop())]);
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop };
}
