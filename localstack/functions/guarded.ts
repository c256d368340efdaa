import { isOfModels } from "../../lib/access/may.ts";
import { takenBy } from "../../lib/runtime/http/not-found.ts";
import { routes } from "../../lib/wiring/routes.ts";

const guarded = new Set(
  routes
    .filter(({ access }) => access !== "open" && !isOfModels(access))
    .flatMap((route) => takenBy(route).map((method) => `${method} ${route.path}`)),
);

/** Whether a route, such as `GET /work`, has the authorizer before it, as it has on AWS. */
export function isGuarded(routeKey: string): boolean {
  return guarded.has(routeKey);
}
