import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A call of the SQS API as it goes by. */
export type QueueCall = {
  /** The process that makes it. */
  by: string;
  /** SendMessageBatch and the like. */
  action: string;
  /** The last part of the queue's URL. */
  queue: string;
  input: Record<string, unknown>;
};

/** What SQS answers. */
export type QueueAnswer = { status: number; headers: Record<string, string>; body: Buffer };

/** Hands the call on, with another input where one is given, and answers what SQS answers. */
export type Forward = (input?: Record<string, unknown>) => Promise<QueueAnswer>;

/** Decides what becomes of a call: answers it, or `cut` (the connection is reset) or `silence` (no answer ever). */
export type QueueTamper = (call: QueueCall, forward: Forward) => Promise<QueueAnswer | "cut" | "silence">;

/** The way of one process to SQS, which the harness can break. */
export type QueueProxy = {
  endpoint: string;
  /** Has all calls handled by this from now on; without an argument they are handed on again. */
  tamper: (how?: QueueTamper) => void;
  close: () => Promise<void>;
};

const pass: QueueTamper = async (_call, forward) => await forward();

/** Starts a proxy before the SQS API that `endpoint` answers; `seen` gets each call that SQS has taken. */
export async function startQueueProxy(
  by: string,
  endpoint: () => string,
  seen: (call: QueueCall) => void,
): Promise<QueueProxy> {
  let tamper = pass;
  const handle = async (incoming: IncomingMessage, response: ServerResponse) => {
    const body = await bodyOf(incoming);
    const input = (body.length === 0 ? {} : JSON.parse(body.toString())) as Record<string, unknown>;
    const action = String(incoming.headers["x-amz-target"] ?? "").split(".")[1] ?? "";
    const { QueueUrl = "" } = input as { QueueUrl?: string };
    const queue = QueueUrl.split("/").at(-1) ?? "";
    const call = { by, action, queue, input };
    const forward: Forward = async (other = input) => {
      const answer = await send(endpoint(), incoming, JSON.stringify(other));
      if (answer.status === 200) seen({ ...call, input: other });
      return answer;
    };
    const outcome = await tamper(call, forward);
    if (outcome === "silence") return;
    if (outcome === "cut") return void incoming.socket.resetAndDestroy();
    response.writeHead(outcome.status, outcome.headers).end(outcome.body);
  };
  const server = createServer((incoming, response) => {
    handle(incoming, response).catch(() => incoming.socket.destroy());
  });
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tamper: (how = pass) => {
      tamper = how;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

async function send(endpoint: string, incoming: IncomingMessage, body: string): Promise<QueueAnswer> {
  const { host: _host, connection: _connection, ...headers } = incoming.headers;
  return await new Promise((resolve, reject) => {
    const outgoing = request(new URL(incoming.url ?? "/", endpoint), {
      method: incoming.method,
      headers: { ...headers, "content-length": Buffer.byteLength(body) },
    });
    outgoing.on("error", reject);
    outgoing.on("response", (answer) => {
      answerOf(answer).then(resolve, reject);
    });
    outgoing.end(body);
  });
}

async function answerOf(answer: IncomingMessage): Promise<QueueAnswer> {
  const body = await bodyOf(answer);
  const { "transfer-encoding": _encoding, ...rest } = answer.headers;
  const headers = { ...rest, "content-length": String(body.length) } as unknown as Record<string, string>;
  return { status: answer.statusCode ?? 502, headers, body };
}
