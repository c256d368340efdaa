import { takenBy } from "../../lib/runtime/http/not-found.ts";
import { routes } from "../../lib/wiring/routes.ts";

/** Checks keys by itself, and refuses in the words of each dialect. */
const BY_ITSELF = "llm-route";

const guarded = new Set(
  routes
    .filter((route) => route.access !== "open" && route.function !== BY_ITSELF)
    .flatMap((route) => takenBy(route).map((method) => `${method} ${route.path}`)),
);

/** Whether a route, such as `GET /work`, has the authorizer before it, as it has on AWS. */
export function isGuarded(routeKey: string): boolean {
  return guarded.has(routeKey);
}
