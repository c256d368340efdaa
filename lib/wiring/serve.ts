import type { APIGatewayProxyStructuredResultV2, Context } from "aws-lambda";
import type { Actor } from "../access/actor.ts";
import type { Queues } from "../runtime/aws/queues.ts";
import { withCors } from "../runtime/http/cors.ts";
import { apiGateway, type HttpEvent } from "../runtime/http/lambda.ts";
import type { Answer, Call, Route } from "../runtime/http/route.ts";
import { type Served, serve } from "../runtime/http/serve.ts";
import { acting, type Identify } from "./acting.ts";
import { callersByKey, callersOf } from "./callers.ts";
import { type ControlPlane, controlPlane } from "./control-plane.ts";
import { processEdges } from "./edges.ts";
import { gateOf } from "./refused-calls.ts";
import { readPlaneSettings } from "./settings.ts";

/** What answers the calls of a route: a use case, with what it needs of the call and what its outcome is over HTTP. */
export type Answers<R extends Route> = (plane: ControlPlane, actor: Actor, call: Call<R>) => Promise<Answer>;

/** Rows of a function's table: a route and what answers it. */
type Rows<R extends readonly Route[]> = { [K in keyof R]: readonly [R[K], Answers<R[K]>] };

/**
 * The control plane of a function, by the environment of its process; one that reaches queues is given them (sqsQueues). Throws a
 * ConfigError that names what is wrong in the environment.
 */
export function functionPlane(queues?: Queues): ControlPlane {
  return controlPlane({ settings: readPlaneSettings(), edges: processEdges(queues) });
}

/** The Lambda handler of a function behind the HTTP API, from its table route → what answers it. */
export function httpFunction<const R extends readonly Route[]>(
  plane: ControlPlane,
  ...rows: Rows<R>
): (event: HttpEvent, context?: Context) => Promise<APIGatewayProxyStructuredResultV2> {
  return apiGateway(withCors(plane.settings.cors.origins, serve(servedBy(plane, rows))));
}

/** The same of open routes, before which nothing stands: the function itself looks at a key that is shown, for what it tells more. */
export function openFunction<const R extends readonly Route[]>(
  plane: ControlPlane,
  ...rows: Rows<R>
): (event: HttpEvent, context?: Context) => Promise<APIGatewayProxyStructuredResultV2> {
  return apiGateway(withCors(plane.settings.cors.origins, serve(servedBy(plane, rows, callersByKey(plane)))));
}

type Row = readonly [Route, Answers<Route>];

/** The rows of a table, each with its control plane and the actor of each call, who may make it. */
export function servedBy(plane: ControlPlane, rows: readonly Row[], identify: Identify = callersOf(plane)): Served[] {
  const gate = gateOf(plane, identify);
  return rows.map(([route, answers]) => acting(gate, route, async (actor, call) => await answers(plane, actor, call)));
}
