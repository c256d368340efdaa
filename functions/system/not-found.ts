import { corsSettings, withCors } from "../../lib/runtime/http/cors.ts";
import { apiGateway } from "../../lib/runtime/http/lambda.ts";
import { unknown } from "../../lib/runtime/http/serve.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { routes } from "../../lib/wiring/routes.ts";

const { origins } = readSettings(corsSettings);

/** Every call that no other function takes: 404, or 405 with Allow where the path has other methods; and what browsers ask first. */
export const handler = apiGateway(withCors(origins, unknown(routes)));
