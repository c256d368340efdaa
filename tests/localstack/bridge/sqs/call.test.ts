import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type * as SqsCall from "../../../../localstack/bridge/sqs/call.ts";

const SECRET = "a secret";
const QUEUE = { QueueUrl: "http://elsewhere.example/000000000000/queue" };
const LETTERS = { ...QUEUE, Entries: [{ Id: "0", MessageBody: "Grüße, 世界 😀" }] };

type Call = { target: string; agent: string; body: unknown; signed: boolean };
type Answer = (call: Call, response: ServerResponse) => void;

/** What stands for SQS: it writes down every call, and answers the bridge's own as a test asks, the SDK's as SQS does. */
const calls: Call[] = [];
let answer: Answer;
const ok: Answer = (_, response) => void response.end(JSON.stringify({ Successful: [{ Id: "0" }], Failed: [] }));
const server = createServer((request, response) => void take(request, response));
let port: number;
let sqs: typeof SqsCall;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ({ port } = server.address() as AddressInfo);
  process.env["AWS_ENDPOINT_URL_SQS"] = `http://127.0.0.1:${port}`;
  process.env["AWS_SECRET_ACCESS_KEY"] = SECRET;
  sqs = await import("../../../../localstack/bridge/sqs/call.ts");
});
beforeEach(async () => {
  answer = ok;
  // Whichever test is first: from the first call on, it is known where SQS is.
  await sqs.sendMessages(LETTERS, 5000);
  calls.length = 0;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test("makes its frequent calls itself, signed as the SDK signs them", async () => {
  const answers = [
    await sqs.receiveMessages(QUEUE, 5000),
    await sqs.sendMessages(LETTERS, 5000),
    await sqs.deleteMessages({ ...QUEUE, Entries: [{ Id: "0", ReceiptHandle: "it" }] }, 5000),
  ];

  for (const one of answers) expect(one).toEqual({ Successful: [{ Id: "0" }], Failed: [] });
  expect(calls).toMatchObject([
    { target: "AmazonSQS.ReceiveMessage", body: QUEUE },
    { target: "AmazonSQS.SendMessageBatch", body: LETTERS },
    { target: "AmazonSQS.DeleteMessageBatch", body: { Entries: [{ ReceiptHandle: "it" }] } },
  ]);
  for (const call of calls) expect(call).toMatchObject({ agent: "waybill-bridge", signed: true });
});

test.each<[string, Answer]>([
  ["a refusal", (_, response) => void response.writeHead(403).end('{"__type":"SignatureDoesNotMatch"}')],
  ["a failure of SQS", (_, response) => void response.writeHead(500).end()],
  ["an answer that is not JSON", (_, response) => void response.end("<html>")],
  ["a connection that is cut", (_, response) => void response.destroy()],
  ["a connection that is cut in the middle", cutInTheMiddle],
  ["an answer that is not HTTP", (_, response) => void response.socket?.end("what?\r\n\r\n")],
  ["chunks that are not HTTP", brokenChunks],
])("after %s, the SDK makes the call", async (_, given) => {
  answer = given;

  const { Successful } = await sqs.sendMessages(LETTERS, 5000);

  expect(Successful).toEqual([{ Id: "0" }]);
  expect(calls).toMatchObject([
    { agent: "waybill-bridge", body: LETTERS },
    { agent: expect.stringContaining("aws-sdk-js"), body: LETTERS, signed: true },
  ]);
});

test("a call that takes too long is broken off, and not made again", async () => {
  answer = () => {};

  await expect(sqs.receiveMessages(QUEUE, 50)).rejects.toThrow("SQS did not answer ReceiveMessage within 50 ms");

  expect(calls).toHaveLength(1);
});

test("an answer that never ends is broken off too", async () => {
  answer = (_, response) => void response.write('{"Successful":');

  await expect(sqs.sendMessages(LETTERS, 50)).rejects.toThrow("within 50 ms");
});

async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const said = await text(request);
  const { "user-agent": agent = "", "x-amz-target": target } = request.headers;
  const call = { target: String(target), agent, body: JSON.parse(said) as unknown, signed: isSigned(request, said) };
  calls.push(call);
  (agent === "waybill-bridge" ? answer : ok)(call, response);
}

function cutInTheMiddle(_: Call, response: ServerResponse): void {
  response.writeHead(200, { "content-length": "100" });
  response.write('{"Successful":', () => response.destroy());
}

function brokenChunks(_: Call, { socket }: ServerResponse): void {
  socket?.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", () => socket.end("no length\r\n"));
}

/** By https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function isSigned({ method, url = "", headers }: IncomingMessage, body: string): boolean {
  const { authorization = "" } = headers;
  const [, scope = "", names = "", signature] =
    /^AWS4-HMAC-SHA256 Credential=[^/]+\/(\S+), SignedHeaders=(\S+), Signature=(\w+)$/.exec(authorization) ?? [];
  const lines = names.split(";").map((name) => `${name}:${String(headers[name])}\n`);
  const canonical = [method, url, "", lines.join(""), names, createHash("sha256").update(body).digest("hex")].join(
    "\n",
  );
  const digest = createHash("sha256").update(canonical).digest("hex");
  const toSign = ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest].join("\n");
  const hmac = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest();
  const key = scope.split("/").reduce<string | Buffer>(hmac, `AWS4${SECRET}`);
  return scope.endsWith("/sqs/aws4_request") && hmac(key, toSign).toString("hex") === signature;
}
