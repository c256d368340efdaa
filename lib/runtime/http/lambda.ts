import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from "aws-lambda";
import type { Signature } from "./route.ts";
import type { Around, Fetch } from "./serve.ts";
import { partsOfResponse, type ResponseSource, requestOf } from "./web.ts";

/** What API Gateway's HTTP API and function URLs send (payload 2.0), as far as it is looked at. */
export type HttpEvent = Pick<APIGatewayProxyEventV2, "rawPath" | "requestContext"> & Partial<APIGatewayProxyEventV2>;

/** API Gateway waits 30 s and no longer. */
const GATEWAY_MS = 30_000;

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
    headers: lowerCase(event.headers ?? {}),
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
  return { matched, signature: signatureOf(event), waitUntil: (run) => void after.push(run) };
}

/** Who signed the call: undefined where the route asks for no signature. */
function signatureOf({ requestContext }: HttpEvent): Signature | undefined {
  const { authorizer } = requestContext as { authorizer?: { iam?: Partial<Signature> } };
  const { userArn, accountId } = authorizer?.iam ?? {};
  return userArn === undefined ? undefined : { userArn, accountId: accountId ?? "" };
}

function lowerCase(headers: Record<string, string | undefined>): Record<string, string> {
  const lower: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) lower[name.toLowerCase()] = value;
  return lower;
}

/** An answer in one piece, as API Gateway takes it: text as it is, bytes in base64. */
async function wholeAnswer({ status, headers, body }: ResponseSource): Promise<APIGatewayProxyStructuredResultV2> {
  if (typeof body === "string") return { statusCode: status, headers, body };
  if (body instanceof Uint8Array) {
    return { statusCode: status, headers, body: Buffer.from(body).toString("base64"), isBase64Encoded: true };
  }
  const parts: (string | Uint8Array)[] = [];
  for await (const part of body) parts.push(part);
  const text = parts.every((part) => typeof part === "string") ? parts.join("") : undefined;
  if (text !== undefined) return { statusCode: status, headers, body: text };
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
  return { statusCode: status, headers, body: bytes.toString("base64"), isBase64Encoded: true };
}
