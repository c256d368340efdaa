// Between HTTP and functions, as API Gateway and function URLs put it: payload format 2.0,
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
import { isUtf8 } from "node:buffer";
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import { CallerError } from "../../lib/errors.ts";
import { dictionary } from "../../lib/input/dictionary.ts";

/** The route that takes what no other takes; a function URL has no other. */
export const DEFAULT_ROUTE = "$default";

/** The path and the query of a request as they were sent, the query without its question mark. Throws a 400 where no path is. */
export function targetOf({ url = "" }: Pick<IncomingMessage, "url">): { path: string; query: string } {
  const target = url.replace(/^https?:\/\/[^/?]*/i, "");
  const end = target.indexOf("?");
  const path = end === -1 ? target : target.slice(0, end);
  if (!path.startsWith("/") || decoded(path) === undefined) {
    throw new CallerError(400, "bad_request", "The request is not valid: its path or a header cannot be read.");
  }
  return { path, query: end === -1 ? "" : target.slice(end + 1) };
}

/** The text behind percent-encoding; undefined where that is broken. */
export function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The event of a request, by the route that takes it and what stands for that route's parameters. */
export function eventOf(
  request: IncomingMessage,
  body: Buffer,
  { routeKey, params = {} }: { routeKey: string; params?: Record<string, string> },
): APIGatewayProxyEventV2 {
  const { path, query } = targetOf(request);
  const { cookie, ...headers } = request.headersDistinct;
  const [now, method] = [new Date(), request.method ?? "GET"];
  return {
    version: "2.0",
    routeKey,
    rawPath: path,
    rawQueryString: query,
    ...(cookie === undefined ? {} : { cookies: cookie.flatMap((line) => line.split(/; */)) }),
    headers: joined(headers),
    ...(query === "" ? {} : { queryStringParameters: joined(valuesOf(query)) }),
    ...(Object.keys(params).length === 0 ? {} : { pathParameters: params }),
    requestContext: {
      accountId: "000000000000",
      apiId: "local",
      domainName: request.headers.host ?? "",
      domainPrefix: "local",
      http: {
        method,
        path,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp: request.socket.remoteAddress ?? "",
        userAgent: request.headers["user-agent"] ?? "",
      },
      requestId: randomUUID(),
      routeKey,
      stage: "$default",
      time: commonLogTime(now),
      timeEpoch: now.getTime(),
    },
    ...bodyOf(body),
  };
}

/** Text as it is; bytes that are not UTF-8 in base64. */
function bodyOf(body: Buffer): { body?: string; isBase64Encoded: boolean } {
  if (body.length === 0) return { isBase64Encoded: false };
  const isBase64Encoded = !isUtf8(body);
  return { body: body.toString(isBase64Encoded ? "base64" : "utf8"), isBase64Encoded };
}

function joined(values: NodeJS.Dict<string[]>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, all = []]) => [name, all.join(",")]));
}

function valuesOf(query: string): Record<string, string[]> {
  const values = dictionary<string[]>();
  for (const [name, value] of new URLSearchParams(query)) (values[name] ??= []).push(value);
  return values;
}

/** As API Gateway writes the time: 30/Nov/2026:02:05:29 +0000. */
function commonLogTime(at: Date): string {
  const [, day, month, year, time] = at.toUTCString().split(" ");
  return `${day}/${month}/${year}:${time} +0000`;
}

/** What goes out for a function's result. */
export type Reply = { status: number; headers: Record<string, string | string[]>; body: Buffer };

/** The answer that a function's result stands for. Throws where it has no status: then API Gateway answers 500. */
export function replyOf(result: unknown): Reply {
  const { statusCode, headers = {}, cookies, body = "", isBase64Encoded } = (result ?? {}) as Result;
  if (statusCode === undefined) throw new Error("The function's result has no statusCode.");
  const own = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
  return {
    status: statusCode,
    headers: { ...Object.fromEntries(own), ...(cookies === undefined ? {} : { "set-cookie": cookies }) },
    body: Buffer.from(body, isBase64Encoded === true ? "base64" : "utf8"),
  };
}

type Result = {
  statusCode?: number;
  headers?: Record<string, string | number | boolean>;
  cookies?: string[];
  body?: string;
  isBase64Encoded?: boolean;
};
