import type { ServerResponse } from "node:http";
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import { CallerError } from "../../lib/errors.ts";
import { GATEWAY_MS } from "../../lib/runtime/http/lambda.ts";
import type { Authorize, Context } from "./authorizer.ts";
import { eventOf, type Reply, replyOf, targetOf } from "./events.ts";
import { type HttpRoute, routeTo } from "./http-routes.ts";
import { type Listening, listen } from "./http-server.ts";
import type { LocalFunctions } from "./local-functions.ts";

/**
 * Serves the HTTP API as API Gateway does: one event a request, to the function whose route takes it. HEAD is a method like any
 * other, whose answer has no content and may tell the length of GET's. What a function throws, or that it cannot be loaded, is answered 500; that it takes too long, 503.
 * Who calls a route that is `guarded` is asked of `authorize` first.
 */
export async function serveHttpApi(
  routes: readonly HttpRoute[],
  functions: Pick<LocalFunctions, "invoke">,
  { port, host, guarded, authorize }: HttpApi,
): Promise<Listening> {
  const serve = async (request: Parameters<typeof eventOf>[0], body: Buffer, response: ServerResponse) => {
    const route = routeTo(routes, request.method ?? "GET", targetOf(request).path);
    if (route === undefined) throw new CallerError(404, "not_found", "Nothing has this path.");
    const event = eventOf(request, body, route);
    if (guarded(route.routeKey)) withCaller(event, await authorize(request, event));
    send(response, replyOf(await functions.invoke(route.functionKey, event, GATEWAY_MS)), request.method);
  };
  return await listen(serve, port, host);
}

/** Where the HTTP API is, and who may come in. */
type HttpApi = {
  /** 0: any free one. */
  port: number;
  host?: string | undefined;
  /** Whether a route, such as `GET /work`, has the authorizer before it. */
  guarded: (routeKey: string) => boolean;
  authorize: Authorize;
};

/** As API Gateway gives on what a Lambda authorizer has said. */
function withCaller(event: APIGatewayProxyEventV2, context: Context): void {
  Object.assign(event.requestContext, { authorizer: { lambda: context } });
}

function send(response: ServerResponse, { status, headers, body }: Reply, method: string | undefined): void {
  const noLength = status === 204 || status === 304 || (method === "HEAD" && body.length === 0);
  response.writeHead(status, noLength ? headers : { ...headers, "content-length": body.length });
  response.end(body);
}
