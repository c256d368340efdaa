import { CallerError } from "../../errors.ts";
import type { Route } from "./http.ts";

/** The error of a call that no route answers: 405 with Allow where its path has other methods, 404 otherwise. */
export function notFound(routes: readonly Pick<Route, "method" | "path">[], method: string, path: string): CallerError {
  const methods = routes.filter((route) => fits(route.path, path)).map((route) => route.method);
  if (methods.length === 0) {
    const message = "Nothing has this path. GET /openapi.json lists what there is.";
    return new CallerError(404, "not_found", message);
  }
  const allow = [...new Set(methods)].toSorted().join(", ");
  const message = `This path does not take ${/^[A-Z]{1,20}$/.test(method) ? method : "this method"}. It takes ${allow}.`;
  return new CallerError(405, "method_not_allowed", message, { headers: { allow } });
}

function fits(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const given = path.split("/");
  return (
    wanted.length === given.length &&
    wanted.every((part, at) => (part.startsWith("{") ? given[at] !== "" : part === given[at]))
  );
}
