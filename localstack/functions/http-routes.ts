import { DEFAULT_ROUTE, decoded } from "./events.ts";
import type { Service } from "./serverless-service.ts";

/** A route of the HTTP API and the function that it calls, by its key in serverless.yml. */
export type HttpRoute = { routeKey: string; method: string; segments: string[]; functionKey: string };

/** The route that takes a request, with its path parameters decoded. */
export type Matched = HttpRoute & { params: Record<string, string> };

/**
 * Takes the `httpApi` events out of the service, so that serverless-offline starts no server of its own, and answers the routes
 * that they are: first the ones that API Gateway prefers (full before greedy, a name before a parameter, a method before ANY).
 */
export function takeHttpRoutes(service: Service): HttpRoute[] {
  const routes = Object.entries(service.functions).flatMap(([functionKey, fn]) => {
    const taken = (fn.events ?? []).flatMap(({ httpApi }) =>
      httpApi === undefined ? [] : [routeOf(httpApi, functionKey)],
    );
    fn.events = (fn.events ?? []).filter(({ httpApi }) => httpApi === undefined);
    return taken;
  });
  const ranked = routes.map((route) => ({ route, rank: rankOf(route) }));
  return ranked.toSorted((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0)).map(({ route }) => route);
}

function routeOf(event: string | { method?: string; path?: string }, functionKey: string): HttpRoute {
  const [method = "", path = ""] = typeof event === "string" ? event.split(" ") : [event.method, event.path];
  if (method === "*" && (path === "" || path === "*")) {
    return { routeKey: DEFAULT_ROUTE, method: "ANY", segments: ["{any+}"], functionKey };
  }
  const name = method === "*" ? "ANY" : method.toUpperCase();
  return { routeKey: `${name} ${path}`, method: name, segments: path.split("/").slice(1), functionKey };
}

function rankOf({ routeKey, method, segments }: HttpRoute): string {
  if (routeKey === DEFAULT_ROUTE) return "3";
  const kinds = segments.map((segment) => (segment.endsWith("+}") ? "2" : segment.startsWith("{") ? "1" : "0"));
  return `${kinds.includes("2") ? 2 : 0}${kinds.join("")}${method === "ANY" ? 1 : 0}`;
}

/** The first of the routes that takes this method and path (as it was sent), or undefined where none does. */
export function routeTo(routes: readonly HttpRoute[], method: string, path: string): Matched | undefined {
  const given = path.split("/").slice(1);
  for (const route of routes) {
    if (route.method !== "ANY" && route.method !== method) continue;
    if (route.routeKey === DEFAULT_ROUTE) return { ...route, params: {} };
    const params = match(route.segments, given);
    if (params !== undefined) return { ...route, params };
  }
  return undefined;
}

/** The parameters by which the path fits the segments; undefined where it does not. */
function match(segments: string[], given: string[]): Record<string, string> | undefined {
  const greedy = segments.at(-1)?.endsWith("+}") === true;
  if (greedy ? given.length < segments.length : given.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [at, segment] of segments.entries()) {
    const last = greedy && at === segments.length - 1;
    const text = decoded(last ? given.slice(at).join("/") : (given[at] ?? "")) ?? "";
    if (!segment.startsWith("{")) {
      if (segment !== text) return undefined;
    } else if (text === "") return undefined;
    else params[segment.replace(/^\{|\+?\}$/g, "")] = text;
  }
  return params;
}
