import { http } from "../../lib/runtime/http/http.ts";
import { notFound } from "../../lib/runtime/http/not-found.ts";
import { anyOther } from "../../lib/runtime/http/routes.ts";
import { routes } from "../../lib/wiring/routes.ts";

/** Every call that no other function takes: 404, or 405 with Allow where the path has other methods. */
export const handler = http(anyOther, async ({ method, path }) => {
  throw notFound(routes, method, path);
});
