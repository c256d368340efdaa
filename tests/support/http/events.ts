import { randomUUID } from "node:crypto";
import { GetQueueAttributesCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, SQSEvent } from "aws-lambda";
import type { Caller } from "../../../lib/access/actor.ts";
import { toContext } from "../../../lib/access/identity/context.ts";
import { timeOfSending } from "../../../lib/agent-kit/speaker.ts";
import { envelope } from "../../../lib/protocol/envelope.ts";
import {
  type Message,
  ORCHESTRATOR,
  parseMessage,
  serialiseMessage,
  type WorkRequestMessage,
} from "../../../lib/protocol/messages.ts";
import { matchPath, takenBy } from "../../../lib/runtime/http/not-found.ts";
import { routes } from "../../../lib/wiring/routes.ts";
import { expectConforms } from "./conform.ts";
import { known, namedIn } from "./owner.ts";

/** What tests say to the entry points, in the words of the events that AWS sends them. */

type HttpHandler = (event: APIGatewayProxyEventV2, context?: object) => Promise<APIGatewayProxyStructuredResultV2>;

export type Reply = { status: number; headers: Record<string, string>; text: string; bytes: Buffer; json: any };

/** Calls an HTTP handler as API Gateway does and reads its answer, which must conform to the OpenAPI document, as a client would. */
export async function call(
  handler: unknown,
  path: string,
  options: {
    method?: string;
    body?: unknown;
    raw?: string;
    headers?: Record<string, string>;
    params?: Record<string, string>;
    /** Who calls; null: nobody that is known. The owner of the default team, by the name that the body says, where left out. */
    as?: Caller | null;
    /** What the authorizer has said of the caller, where that is what is tested. */
    context?: Record<string, string>;
    /** How long its function has. */
    remainingMs?: number;
  } = {},
): Promise<Reply> {
  const url = new URL(path, "http://local");
  const query = Object.fromEntries(url.searchParams);
  const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  const method = options.method ?? (body === undefined ? "GET" : "POST");
  const event = {
    routeKey: routeKeyOf(method, url.pathname),
    rawPath: url.pathname,
    rawQueryString: url.search.slice(1),
    headers: options.headers ?? {},
    ...(url.search === "" ? {} : { queryStringParameters: query }),
    ...(options.params === undefined ? {} : { pathParameters: options.params }),
    ...(body === undefined ? {} : { body }),
    isBase64Encoded: false,
    requestContext: { http: { method, path: url.pathname }, ...authorizerOf(options) },
  } as unknown as APIGatewayProxyEventV2;
  const { remainingMs } = options;
  const context = remainingMs === undefined ? undefined : { getRemainingTimeInMillis: () => remainingMs };
  const answer = await (handler as HttpHandler)(event, context);
  const bytes = Buffer.from(answer.body ?? "", answer.isBase64Encoded ? "base64" : "utf8");
  const text = bytes.toString();
  const headers = answer.headers as Record<string, string>;
  const status = answer.statusCode ?? 0;
  expectConforms(event.requestContext.http.method, url.pathname, { status, headers, text });
  const json = text !== "" && /[/+]json\b/.test(headers["content-type"] ?? "") ? JSON.parse(text) : undefined;
  return { status, headers, text, bytes, json };
}

/** What API Gateway's authorizer tells of a caller. */
function authorizerOf({ as, body, context }: Parameters<typeof call>[2] & object): object {
  if (context !== undefined) return { authorizer: { lambda: context } };
  if (as === null) return {};
  if (as === undefined) return known(namedIn(body));
  return { authorizer: { lambda: toContext({ caller: as, until: null }) } };
}

/** The route that API Gateway finds for a call. */
function routeKeyOf(method: string, path: string): string {
  const route = routes.find((each) => takenBy(each).includes(method) && matchPath(each.path, path) !== undefined);
  return route === undefined ? "$default" : `${method} ${route.path}`;
}

export const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });

/** The queue of an agent, as this test file's environment names it. */
export function agentQueue(agent: string): string {
  return (JSON.parse(process.env["AGENT_QUEUES"] ?? "{}") as Record<string, string>)[agent] ?? "";
}

/** Takes what is on a queue now, deleting nothing: bodies and the event that a function would get. */
export async function receive(queueUrl: string, waitSeconds = 0): Promise<SQSEvent> {
  const arn = (await sqs.send(new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ["QueueArn"] })))
    .Attributes?.["QueueArn"];
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: waitSeconds,
      MessageAttributeNames: ["All"],
      MessageSystemAttributeNames: ["All"],
    }),
  );
  const Records = Messages.map((message) => ({
    messageId: message.MessageId,
    receiptHandle: message.ReceiptHandle,
    body: message.Body,
    eventSourceARN: arn,
    attributes: message.Attributes ?? {},
    messageAttributes: message.MessageAttributes ?? {},
  }));
  return { Records } as unknown as SQSEvent;
}

/** An event of these messages, as the results queue or the work queue would deliver them. */
export function eventOf(messages: (Message | string)[]): SQSEvent {
  const Records = messages.map((message) => ({
    messageId: randomUUID(),
    receiptHandle: "none",
    body: typeof message === "string" ? message : serialiseMessage(message),
    eventSourceARN: "arn:aws:sqs:eu-central-1:000000000000:none",
    attributes: {},
    messageAttributes: {},
  }));
  return { Records } as unknown as SQSEvent;
}

/** Puts a text on a queue. */
export async function put(queueUrl: string, body: string): Promise<void> {
  await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: body }));
}

/** All work requests on an agent's queue now, in the order in which they come. */
export async function requestsOf(agent: string): Promise<WorkRequestMessage[]> {
  const all: WorkRequestMessage[] = [];
  for (;;) {
    const { Records } = await receive(agentQueue(agent));
    if (Records.length === 0) return all;
    for (const { body } of Records) {
      const parsed = parseMessage(body);
      if (parsed.ok && parsed.message.type === "work_request") all.push(parsed.message);
    }
  }
}

/** What the agent that got `request` says about it. */
export function reply(
  request: WorkRequestMessage,
  type: "work_status" | "work_result" | "error",
  payload: Record<string, unknown>,
): Message {
  const { task_id, attempt, lease_token } = request.payload;
  const identity = {
    messageId: randomUUID(),
    at: timeOfSending(),
    traceId: request.trace_id,
    requestId: request.request_id,
  };
  const said = { task_id, attempt, lease_token, ...payload } as unknown as Message["payload"];
  return envelope(type, request.to_agent, ORCHESTRATOR, said as never, identity);
}
