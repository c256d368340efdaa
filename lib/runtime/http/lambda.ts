import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from "aws-lambda";
import type { Authorizer } from "./route.ts";
import type { Around, Fetch } from "./serve.ts";
import { partsOfResponse, type ResponseSource, requestOf } from "./web.ts";

/** What API Gateway's HTTP API and function URLs send (payload 2.0), as far as it is looked at. */
export type HttpEvent = Pick<APIGatewayProxyEventV2, "rawPath" | "requestContext"> & Partial<APIGatewayProxyEventV2>;

/** API Gateway waits 30 s and no longer. */
export const GATEWAY_MS = 30_000;

/** A Lambda handler behind the HTTP API: one event, one answer, whole. What waits for the answer is run before it returns. */
export function apiGateway(
  fetch: Fetch,
): (event: HttpEvent, context?: Context) => Promise<APIGatewayProxyStructuredResultV2> {
  return async (event, context) => {
    const started = performance.now();
    const after: (() => Promise<void>)[] = [];
    const response = await fetch(requestFrom(event, NEVER), {
      ...aroundOf(event, after),
      remainingMs: () => {
        const left = GATEWAY_MS - (performance.now() - started);
        return Math.min(context?.getRemainingTimeInMillis() ?? left, left);
      },
    });
    const answer = await wholeAnswer(partsOfResponse(response));
    // Lambda freezes the process when this returns.
    for (const run of after) await run();
    return answer;
  };
}

/** Nobody can tell a function behind the HTTP API that its caller is gone. */
const NEVER = new AbortController().signal;

/** The request of an event. `gone` is aborted when its caller is. */
export function requestFrom(event: HttpEvent, gone: AbortSignal): Request {
  const { requestContext, rawPath, body } = event;
  return requestOf({
    method: requestContext.http.method,
    origin: `https://${requestContext.domainName ?? "localhost"}`,
    path: rawPath,
    search: searchOf(event),
    headers: headersOf(event),
    body: body === undefined || !event.isBase64Encoded ? body : Buffer.from(body, "base64"),
    signal: gone,
  });
}

/** The raw query; some senders of events give only the parsed one. */
function searchOf({ rawQueryString, queryStringParameters }: HttpEvent): string {
  if (rawQueryString || queryStringParameters === undefined) return rawQueryString ?? "";
  return new URLSearchParams(queryStringParameters as Record<string, string>).toString();
}

/** What an event says around its request; what is to run after the answer is added to `after`. */
export function aroundOf(event: HttpEvent, after: (() => Promise<void>)[]): Omit<Around, "remainingMs"> {
  const { routeKey, pathParameters } = event;
  const matched =
    routeKey === undefined || routeKey === "$default" ? undefined : { routeKey, params: pathParameters ?? {} };
  // Events of tests and of other senders may leave it out.
  const { sourceIp } = event.requestContext.http as { sourceIp?: string };
  return { matched, ip: sourceIp, authorizer: authorizerOf(event), waitUntil: (run) => void after.push(run) };
}

/** Empty where the route asks nobody. */
function authorizerOf({ requestContext }: HttpEvent): Authorizer {
  return (requestContext as { authorizer?: Authorizer | null }).authorizer ?? {};
}

/** Names in lower case; payload 2.0 carries the cookies beside the headers. */
function headersOf({ headers = {}, cookies = [] }: HttpEvent): Record<string, string> {
  const lower: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) lower[name.toLowerCase()] = value;
  if (cookies.length > 0) lower["cookie"] = cookies.join("; ");
  return lower;
}

/** What goes before a body, as API Gateway and response streaming both take it. */
export function headOf({ status, headers, cookies }: ResponseSource): Head {
  return { statusCode: status, headers, ...(cookies === undefined ? {} : { cookies: [...cookies] }) };
}
export type Head = { statusCode: number; headers: Record<string, string>; cookies?: string[] };

/** An answer in one piece, as API Gateway takes it: text as it is, bytes in base64. */
async function wholeAnswer(answer: ResponseSource): Promise<APIGatewayProxyStructuredResultV2> {
  const { body } = answer;
  const head = headOf(answer);
  if (typeof body === "string") return { ...head, body };
  if (body instanceof Uint8Array) {
    return { ...head, body: Buffer.from(body).toString("base64"), isBase64Encoded: true };
  }
  const parts: (string | Uint8Array)[] = [];
  for await (const part of body) parts.push(part);
  const text = parts.every((part) => typeof part === "string") ? parts.join("") : undefined;
  if (text !== undefined) return { ...head, body: text };
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
  return { ...head, body: bytes.toString("base64"), isBase64Encoded: true };
}
