import { apiGateway } from "../../lib/runtime/http/lambda.ts";
import { unknown } from "../../lib/runtime/http/serve.ts";
import { routes } from "../../lib/wiring/routes.ts";

/** Every call that no other function takes: 404, or 405 with Allow where the path has other methods. */
export const handler = apiGateway(unknown(routes));
