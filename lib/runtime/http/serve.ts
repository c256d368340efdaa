// Own, though Hono and Powertools' event handler route too: a Route here parses by zod, documents and types its handler at once.
// Hono's Lambda adapters make a `new Request` of each event; web.ts says what that costs a cold start.
import { Unavailable } from "../../errors.ts";
import { within } from "../../time.ts";
import { uuidv7 } from "../ids.ts";
import { type Fields, type Log, log } from "../log.ts";
import { renewAll, withConnections } from "../postgres/pool.ts";
import { render } from "./answer.ts";
import { matchPath, notFound, takenBy } from "./not-found.ts";
import { PROBLEM, problemOf } from "./problem.ts";
import { parseRequest } from "./request.ts";
import type { Answer, Asked, Authorizer, Call, Route } from "./route.ts";
import { traceOf } from "./trace.ts";
import { partsOfRequest, platformRequest, type RequestSource, withoutContent } from "./web.ts";

/** What an adapter knows of a call beside its Request. */
export type Around = {
  /** The route that API Gateway has found, and what it has read from the path; without it the path decides. */
  matched?: { routeKey: string; params: PathParams } | undefined;
  authorizer: Authorizer;
  /** The address that the call came from, as the platform has seen it. */
  ip?: string | undefined;
  /** Until when the call must have been answered, in milliseconds from now. */
  remainingMs: () => number;
  /** Runs something once the answer has been given, before the process may be frozen. */
  waitUntil: (after: () => Promise<void>) => void;
};
export type PathParams = Record<string, string | undefined>;

/** Answers requests: the shape of every handler inside the edge. */
export type Fetch = (request: Request, around: Around) => Promise<Response>;

/** A route and what serves it. */
export type Served = {
  route: Route;
  fetch: (request: Request, around: Around, params: PathParams) => Promise<Response>;
};

/** Stands for every path and method that no route has. It is in no document. */
const anyOther = {
  method: "GET",
  path: "/{path}",
  operation: "notFound",
  summary: "Answers 404, or 405 where the path has other methods.",
  access: "open",
  function: "not-found",
  query: false,
  answers: { 404: { description: "No such path" }, 405: { description: "No such method" } },
} as const satisfies Route;

/** Answers every call 404, or 405 with Allow where its path is that of one of these routes. */
export function unknown(routes: readonly Route[]): Fetch {
  const { fetch } = json(anyOther, async ({ method, path }) => {
    throw notFound(routes, method, path);
  });
  return async (request, around) => await fetch(request, around, {});
}

/**
 * One handler for several routes: API Gateway's route key says which it is, or else the first whose method and path fit. What takes
 * GET takes HEAD, and is answered the same without the content. `otherwise` answers every other call.
 */
export function serve(served: readonly Served[], otherwise: Fetch = unknown(served.map(({ route }) => route))): Fetch {
  const byKey = new Map(served.map((one) => [`${one.route.method} ${one.route.path}`, one]));
  const answer: Fetch = async (request, around) => {
    const { routeKey = "", params } = around.matched ?? {};
    const found = byKey.get(routeKey) ?? byKey.get(routeKey.replace(/^HEAD /, "GET "));
    if (found !== undefined) return await found.fetch(request, around, params ?? {});
    const { method, path } = await partsOfRequest(request);
    for (const one of served) {
      const read = takenBy(one.route).includes(method) ? matchPath(one.route.path, path) : undefined;
      if (read !== undefined) return await one.fetch(request, around, read);
    }
    return await otherwise(request, around);
  };
  return async (request, around) => {
    const response = await answer(request, around);
    return request.method === "HEAD" ? withoutContent(response) : response;
  };
}

/**
 * Serves a route: has `admit` say who calls, or throw, before anything is read; parses the request by the route, calls `run` with both,
 * and turns every outcome into an answer. Errors become application/problem+json (RFC 9457): a CallerError its own status, a database
 * or queue that does not answer in time 503, anything else 500 without its text.
 */
export function json<const R extends Route>(route: R, run: (call: Call<R>) => Promise<Answer>): Served;
export function json<const R extends Route, A>(
  route: R,
  run: (call: Call<R>, admitted: A) => Promise<Answer>,
  admit: (asked: Asked) => Promise<A>,
): Served;
export function json<const R extends Route, A>(
  route: R,
  run: (call: Call<R>, admitted: A | undefined) => Promise<Answer>,
  admit: (asked: Asked) => Promise<A | undefined> = async () => undefined,
): Served {
  const repeatable = route.repeatable ?? route.method === "GET";
  return {
    route,
    fetch: async (request, around, params) => {
      const source = await partsOfRequest(request);
      return await answered(route, around, source, async (told) => {
        const { authorizer, remainingMs, waitUntil, ip = null } = around;
        const admitted = await admit({
          authorizer,
          headers: source.headers,
          params,
          bytes: Buffer.byteLength(source.body ?? ""),
          origin: { ip, traceId: told.traceId },
          waitUntil,
          tell: told.tell,
        });
        const parts = parseRequest(route, source, params) as Pick<Call<R>, "params" | "query" | "headers" | "body">;
        const { method, path } = source;
        const call: Call<R> = { ...parts, ...told, method, path, callId: uuidv7(), remainingMs };
        const ms = remainingMs() - ANSWER_MS;
        return render(await withConnections(repeatable, () => run(call, admitted), ms), told.traceId);
      });
    },
  };
}

/**
 * Serves a route by a foreign handler, such as one of Hono or of the MCP SDK: it gets a Request of the platform and makes the
 * Response itself. What it throws is answered as `json` does; the time limit is on its Response, not on the end of a stream.
 */
export function web(route: Route, fetch: Fetch): Served {
  return {
    route,
    fetch: async (request, around) => {
      const source = await partsOfRequest(request);
      return await answered(route, around, source, async () => await fetch(platformRequest(source), around));
    },
  };
}

/**
 * Serves a route by a handler of ours that does all itself: its errors, its time limit, its log line. It reads the request by
 * `partsOfRequest` and answers by `responseOf`, so that its calls load no Request of the platform.
 */
export function direct(route: Route, fetch: Fetch): Served {
  return { route, fetch: async (request, around) => await fetch(request, around) };
}

/** What is kept back to answer that a call took too long, which API Gateway would say without a trace_id. */
const ANSWER_MS = 300;

/** Answers one call of a route by `run`, in the time that it has, errors too, in the route's words; one log line says how it ended. */
async function answered(
  { operation, errors: words }: Route,
  { remainingMs }: Around,
  { headers: given }: RequestSource,
  run: (told: Pick<Call<Route>, "traceId" | "log" | "tell">) => Promise<Response>,
): Promise<Response> {
  const started = performance.now();
  const traceId = traceOf(given["traceparent"]);
  const bound: Log = log.with({ trace_id: traceId, operation });
  const told: Fields = {};
  const tell = (fields: Fields) => void Object.assign(told, fields);
  const lineOf = (ended: Fields) => ({ ...told, ...ended, duration_ms: Math.round(performance.now() - started) });
  try {
    const answer = await within(remainingMs() - ANSWER_MS, run({ traceId, log: bound, tell }), giveUp);
    bound.info("request answered", lineOf({ status: answer.status }));
    return answer;
  } catch (error) {
    const { problem, headers } = problemOf(error, traceId);
    const { status, code, errors } = problem;
    if (status < 500)
      bound.info("request refused", lineOf({ status, code, fields: errors?.map(({ field }) => field) }));
    else bound.error("request failed", lineOf({ status, code, error }));
    if (words !== undefined) return render({ status, body: words.tell(problem), headers }, traceId);
    return render({ status, body: problem, headers: { ...headers, "content-type": PROBLEM } }, traceId);
  }
}

function giveUp(): never {
  const error = new Unavailable("The call was not done in the time that its function has.");
  // What it still waits for may be a connection that is dead without a word.
  renewAll(error);
  throw error;
}
