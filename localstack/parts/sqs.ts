import type { IncomingMessage, ServerResponse } from "node:http";
import { type ListenOptions, Server } from "node:net";
import { ChangeMessageVisibilityCommand, ListQueuesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { startFauxqs } from "fauxqs";
import { INVALID_MESSAGE_BODY_CHAR } from "../../node_modules/fauxqs/dist/sqs/sqsTypes.js";

/** The region that everything local claims to be in. */
export const LOCAL_REGION = "eu-central-1";

/** An SQS API of our own over HTTP, on loopback only; with `dataDir` its messages outlive a restart. */
export type LocalSqs = { port: number; endpoint: string; stop: () => Promise<void> };

/** Starts the SQS API on `port` (0: any free one). */
export async function startSqs(options: { port: number; dataDir?: string }): Promise<LocalSqs> {
  takeEveryPlane();
  const restore = whenListening((server) => server.prependListener("request", giveBackUnheard));
  try {
    const server = await startFauxqs({
      port: options.port,
      logger: false,
      defaultRegion: LOCAL_REGION,
      ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
    });
    return { port: server.port, endpoint: `http://127.0.0.1:${server.port}`, stop: () => server.stop() };
  } finally {
    restore();
  }
}

/** fauxqs 2.4 refuses characters past the first plane, such as 😀, which AWS takes: what it tests bodies by is made AWS's. */
function takeEveryPlane(): void {
  const refused = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;
  INVALID_MESSAGE_BODY_CHAR.test = (body) => refused.test(body);
}

/** fauxqs 2.4 listens on 0.0.0.0 and has no option for it: while it starts, listening means loopback. */
function whenListening(prepare: (server: Server) => void): () => void {
  const listen = Object.getOwnPropertyDescriptor(Server.prototype, "listen");
  if (listen === undefined) throw new Error("This Node has no net.Server.listen; run: npm ci");
  const original = listen.value as Server["listen"];
  Server.prototype.listen = function onLoopback(this: Server, ...args: unknown[]): Server {
    const [first, ...rest] = args;
    const bound =
      typeof first === "object" && first !== null ? { ...(first as ListenOptions), host: "127.0.0.1" } : first;
    prepare(this);
    return Reflect.apply(original, this, [bound, ...rest]) as Server;
  };
  return () => Object.defineProperty(Server.prototype, "listen", listen);
}

/**
 * fauxqs 2.4 does not notice that the caller of a long poll is gone, as an agent is that was killed: it hands the next message
 * to nobody, and that stays invisible for its whole timeout. Here such messages are made visible again at once.
 */
function giveBackUnheard(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers["x-amz-target"] !== "AmazonSQS.ReceiveMessage") return;
  const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
  const port = request.socket.localPort;
  response.end = ((...args: unknown[]) => {
    if (request.socket.destroyed && typeof args[0] === "string") void giveBack(port, args[0]).catch(() => {});
    return end(...args);
  }) as typeof response.end;
}

async function giveBack(port: number | undefined, answer: string): Promise<void> {
  const { Messages = [] } = JSON.parse(answer) as { Messages?: { ReceiptHandle: string }[] };
  if (Messages.length === 0) return;
  const sqs = new SQSClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: LOCAL_REGION,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    useQueueUrlAsEndpoint: false,
  });
  const { QueueUrls = [] } = await sqs.send(new ListQueuesCommand({}));
  for (const QueueUrl of QueueUrls) {
    for (const { ReceiptHandle } of Messages) {
      const visible = new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 });
      // Only the queue that the handle is of knows it.
      await sqs.send(visible).catch(() => {});
    }
  }
}
