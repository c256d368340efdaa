import { CallerError } from "../../errors.ts";
import { METHODS, type Route } from "./route.ts";

/** The error of a call that no route answers: 405 with Allow where its path has other methods, 404 otherwise. */
export function notFound(routes: readonly Pick<Route, "method" | "path">[], method: string, path: string): CallerError {
  const methods = routes
    .filter((route) => matchPath(route.path, path) !== undefined)
    .flatMap((route) => takenBy(route));
  if (methods.length === 0) {
    const message = "Nothing has this path. GET /openapi.json lists what there is.";
    return new CallerError(404, "not_found", message);
  }
  const allow = [...new Set(methods)].toSorted().join(", ");
  const refused = `This path does not take ${/^[A-Z]{1,20}$/.test(method) ? method : "this method"}`;
  const noCors = method === "OPTIONS" ? ": pages of other origins are not let in (no CORS)" : "";
  const message = `${refused}${noCors}. It takes ${allow}.`;
  return new CallerError(405, "method_not_allowed", message, { headers: { allow } });
}

/** The methods that a route answers: HEAD wherever GET is (RFC 9110, 9.1). */
export function takenBy({ method }: Pick<Route, "method">): readonly string[] {
  if (method === "ANY") return METHODS;
  return method === "GET" ? ["GET", "HEAD"] : [method];
}

/**
 * What a path says for the names in a pattern such as /work/{task_id} or /console/{path+}, decoded; undefined where it does not
 * fit.
 */
export function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split("/");
  const parts = path.split("/");
  const greedy = pattern.endsWith("+}");
  const given = greedy ? [...parts.slice(0, wanted.length - 1), parts.slice(wanted.length - 1).join("/")] : parts;
  if (wanted.length !== given.length) return undefined;
  const read: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const value = given[at] ?? "";
    if (!part.startsWith("{")) {
      if (part !== value) return undefined;
    } else if (value === "") return undefined;
    else read[part.replaceAll(/[{+}]/g, "")] = decoded(value);
  }
  return read;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
