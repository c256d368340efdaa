import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import type { http } from "../../../lib/runtime/http/http.ts";

/** An event of API Gateway's HTTP API with these parts; everything else is as for a GET of nothing. */
export function eventOf(parts: Partial<APIGatewayProxyEventV2> & { method?: string } = {}): APIGatewayProxyEventV2 {
  const { method = parts.body === undefined ? "GET" : "POST", ...rest } = parts;
  const path = parts.rawPath ?? "/things/1";
  return {
    rawPath: path,
    headers: {},
    isBase64Encoded: false,
    requestContext: { http: { method, path } },
    ...rest,
  } as unknown as APIGatewayProxyEventV2;
}

export type Seen = { status: number; headers: Record<string, string>; text: string; json: any };

/** What a client sees of an answer. */
export function seen(answer: APIGatewayProxyStructuredResultV2): Seen {
  const text = Buffer.from(answer.body ?? "", answer.isBase64Encoded ? "base64" : "utf8").toString();
  const headers = answer.headers as Record<string, string>;
  const json = headers["content-type"]?.includes("json") ? JSON.parse(text) : undefined;
  return { status: answer.statusCode ?? 0, headers, text, json };
}

/** Sends one event through a handler. */
export async function send(handler: ReturnType<typeof http>, parts: Parameters<typeof eventOf>[0]): Promise<Seen> {
  return seen(await handler(eventOf(parts)));
}
