import document from "../../docs/openapi.json" with { type: "json" };
import { apiGateway } from "../../lib/runtime/http/lambda.ts";
import { getOpenApi } from "../../lib/runtime/http/routes.ts";
import { json, serve } from "../../lib/runtime/http/serve.ts";

/** GET /openapi.json: the document that npm run generate makes of the routes. Asks no database and reads no environment. */
export const handler = apiGateway(serve([json(getOpenApi, async () => ({ status: 200, body: document }))]));
