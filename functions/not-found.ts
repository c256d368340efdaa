import { routes } from "../lib/routes.ts";
import { http } from "../lib/runtime/http.ts";
import { notFound } from "../lib/runtime/not-found.ts";
import { anyOther } from "../lib/runtime/routes.ts";

/** Every call that no other function takes: 404, or 405 with Allow where the path has other methods. */
export const handler = http(anyOther, async ({ method, path }) => {
  throw notFound(routes, method, path);
});
