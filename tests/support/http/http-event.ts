import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import { apiGateway } from "../../../lib/runtime/http/lambda.ts";
import type { Answer, Call, Route } from "../../../lib/runtime/http/route.ts";
import { serve, json as served } from "../../../lib/runtime/http/serve.ts";
import { known, namedIn } from "./owner.ts";

/** An event of API Gateway's HTTP API with these parts; everything else is as for a GET of nothing, by an owner of the default team, named as the body says. */
export function eventOf(parts: Partial<APIGatewayProxyEventV2> & { method?: string } = {}): APIGatewayProxyEventV2 {
  const { method = parts.body === undefined ? "GET" : "POST", ...rest } = parts;
  const path = parts.rawPath ?? "/things/1";
  return {
    rawPath: path,
    headers: {},
    isBase64Encoded: false,
    requestContext: { http: { method, path }, ...known(namedIn(parts.body)) },
    ...rest,
  } as unknown as APIGatewayProxyEventV2;
}

export type Seen = { status: number; headers: Record<string, string>; text: string; json: any };

/** What a client sees of an answer. */
export function seen(answer: APIGatewayProxyStructuredResultV2): Seen {
  const text = Buffer.from(answer.body ?? "", answer.isBase64Encoded ? "base64" : "utf8").toString();
  const headers = answer.headers as Record<string, string>;
  const json = text !== "" && headers["content-type"]?.includes("json") ? JSON.parse(text) : undefined;
  return { status: answer.statusCode ?? 0, headers, text, json };
}

/** The Lambda handler of one route. API Gateway has found it already: its event names it. */
export function http<const R extends Route>(route: R, run: (call: Call<R>) => Promise<Answer>) {
  const handler = apiGateway(serve([served(route, run)]));
  const routeKey = `${route.method} ${route.path}`;
  return async (event: APIGatewayProxyEventV2, context?: Parameters<typeof handler>[1]) =>
    await handler({ ...event, routeKey }, context);
}

/** Sends one event through a handler. */
export async function send(handler: ReturnType<typeof http>, parts: Parameters<typeof eventOf>[0]): Promise<Seen> {
  return seen(await handler(eventOf(parts)));
}
