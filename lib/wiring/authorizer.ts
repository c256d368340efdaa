import type { APIGatewayRequestAuthorizerEventV2 } from "aws-lambda";
import { toContext } from "../access/identity/context.ts";
import { identitySettings } from "../access/identity/settings.ts";
import { readSettings } from "../runtime/settings.ts";
import { authenticating } from "./callers.ts";
import { processEdges } from "./edges.ts";

/** What API Gateway's HTTP API takes as a simple response, payload 2.0. */
type Told = { isAuthorized: true; context: Record<string, string> };

/** Less than its function has: what it still waits for then is replaced. */
const PATIENCE_MS = 8_500;

/**
 * A Lambda authorizer that lets every call through with what is known of its caller, also that nobody is: the function answers then, in
 * full, where API Gateway would say 403 and no more. Rejects where that cannot be found out, which API Gateway answers 500 and does not
 * keep.
 */
export function authorizerFunction(): (event: Pick<APIGatewayRequestAuthorizerEventV2, "headers">) => Promise<Told> {
  const knowing = { edges: processEdges(), settings: { identity: readSettings(identitySettings) } };
  const authenticate = authenticating(knowing, PATIENCE_MS);
  return async ({ headers = {} }) => {
    const named = Object.entries(headers).find(([name]) => name.toLowerCase() === "authorization");
    // The rest is not of what the answer is kept by.
    const outcome = await authenticate({ authorization: named?.[1] });
    return { isAuthorized: true, context: toContext(outcome) };
  };
}
