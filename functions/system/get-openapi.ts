import { http } from "../../lib/runtime/http/http.ts";
import { type Json, openApi } from "../../lib/runtime/http/openapi.ts";
import { getOpenApi } from "../../lib/runtime/http/routes.ts";
import { routes } from "../../lib/wiring/routes.ts";

let document: Json | undefined;

/** GET /openapi.json: the document, made from the routes at the first call. */
export const handler = http(getOpenApi, async () => {
  document ??= openApi(routes);
  return { status: 200, body: document };
});
