import { apiGateway } from "../../lib/runtime/http/lambda.ts";
import { type Json, openApi } from "../../lib/runtime/http/openapi.ts";
import { getOpenApi } from "../../lib/runtime/http/routes.ts";
import { json, serve } from "../../lib/runtime/http/serve.ts";
import { routes } from "../../lib/wiring/routes.ts";

let document: Json | undefined;

/** GET /openapi.json: the document, made from the routes at the first call. Asks no database and reads no environment. */
export const handler = apiGateway(
  serve([
    json(getOpenApi, async () => {
      document ??= openApi(routes);
      return { status: 200, body: document };
    }),
  ]),
);
