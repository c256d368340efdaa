// Why not the SDK alone: on two cores its call takes 105 µs of processor time, this one 45 to 50 (docs/measured.md), and without that the
// bridge does not reach 0.7 of the slower of its ends. Every call that is not answered with 200 is the SDK's.
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { text } from "node:stream/consumers";
import {
  DeleteMessageBatchCommand,
  type DeleteMessageBatchCommandInput,
  type DeleteMessageBatchResult,
  ReceiveMessageCommand,
  type ReceiveMessageCommandInput,
  type ReceiveMessageResult,
  SendMessageBatchCommand,
  type SendMessageBatchCommandInput,
  type SendMessageBatchResult,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { SignatureV4 } from "@smithy/signature-v4";

/** The SDK's client, for every call that is rare. */
export const sqs: SQSClient = new SQSClient({
  useQueueUrlAsEndpoint: false,
  // TCP and TLS guard the bytes already.
  md5: false,
  // A long poll occupies its connection, and every agent has one; the SDK's own limit is 50.
  requestHandler: { httpAgent: { maxSockets: 1000 }, httpsAgent: { maxSockets: 1000 } },
});

type Place = { protocol: string; hostname: string; port?: number; path: string };

/** Where the SDK has sent its last call: it knows every way in which an endpoint can be set. */
let place: Place | undefined;
sqs.middlewareStack.add(
  (next) => async (args) => {
    const { protocol, hostname, port, path } = args.request as Place;
    place = { protocol, hostname, path, ...(port === undefined ? {} : { port }) };
    return await next(args);
  },
  { step: "finalizeRequest", name: "rememberPlace" },
);

const { credentials, region, sha256 } = sqs.config;
const signer = new SignatureV4({ credentials, region, sha256, service: "sqs" });
const agents = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) };

/** Up to ten messages of a queue. Rejects where SQS refuses, or does not answer within so many milliseconds, as the next two do. */
export async function receiveMessages(input: ReceiveMessageCommandInput, ms: number): Promise<ReceiveMessageResult> {
  return (
    (await quickly("ReceiveMessage", input, ms)) ?? (await sqs.send(new ReceiveMessageCommand(input), deadline(ms)))
  );
}

/** Removes up to ten messages. */
export async function deleteMessages(
  input: DeleteMessageBatchCommandInput,
  ms: number,
): Promise<DeleteMessageBatchResult> {
  const command = new DeleteMessageBatchCommand(input);
  return (await quickly("DeleteMessageBatch", input, ms)) ?? (await sqs.send(command, deadline(ms)));
}

/** Sends up to ten messages. */
export async function sendMessages(input: SendMessageBatchCommandInput, ms: number): Promise<SendMessageBatchResult> {
  const command = new SendMessageBatchCommand(input);
  return (await quickly("SendMessageBatch", input, ms)) ?? (await sqs.send(command, deadline(ms)));
}

/** What breaks off a call of the SDK. */
export function deadline(ms: number): { abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.timeout(ms) };
}

/**
 * Makes a call of SQS's JSON protocol without the SDK's layers: they take more processor time than all else that the bridge does
 * with a message (docs/measured.md has the figures). Undefined where no good answer comes, whatever the reason: then the SDK makes
 * the call again, which knows what to do and what to say. Rejects when the time is over.
 */
async function quickly<Result>(name: string, input: object, ms: number): Promise<Result | undefined> {
  if (place === undefined) return undefined;
  let late: Error | undefined;
  try {
    const body = JSON.stringify(input);
    const call = await requestTo(place, name, body);
    // An AbortSignal for each call would cost a tenth of it.
    const timer = setTimeout(() => call.destroy((late = new Error(`SQS did not answer ${name} within ${ms} ms`))), ms);
    // Broken off in the middle of an answer, a call tells it here as well.
    call.on("error", () => {}).once("close", () => clearTimeout(timer));
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      call.once("response", resolve).once("close", () => reject(new Error("no answer")));
    });
    call.end(body);
    const answer = await answered;
    const said = await text(answer);
    return answer.statusCode === 200 ? (JSON.parse(said) as Result) : undefined;
  } catch {
    if (late !== undefined) throw late;
    return undefined;
  }
}

/** A signed request, not yet sent. */
async function requestTo(to: Place, name: string, body: string): Promise<ClientRequest> {
  const { protocol, hostname, port, path } = to;
  const headers = {
    host: port === undefined ? hostname : `${hostname}:${port}`,
    "content-type": "application/x-amz-json-1.0",
    "content-length": String(Buffer.byteLength(body)),
    "x-amz-target": `AmazonSQS.${name}`,
    "user-agent": "waybill-bridge",
  };
  const signingDate = new Date(Date.now() + sqs.config.systemClockOffset);
  const signed = await signer.sign({ ...to, method: "POST", headers, body, query: {} }, { signingDate });
  // Of an IPv6 address Node wants what is between the brackets.
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const options = { host, port, path, method: "POST", headers: signed.headers };
  return protocol === "https:"
    ? httpsRequest({ ...options, agent: agents.https })
    : httpRequest({ ...options, agent: agents.http });
}
