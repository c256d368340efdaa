import { routes } from "../lib/routes.ts";
import { http } from "../lib/runtime/http.ts";
import { type Json, openApi } from "../lib/runtime/openapi.ts";
import { getOpenApi } from "../lib/runtime/routes.ts";

let document: Json | undefined;

/** GET /openapi.json: the document, made from the routes at the first call. */
export const handler = http(getOpenApi, async () => {
  document ??= openApi(routes);
  return { status: 200, body: document };
});
