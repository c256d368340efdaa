import { authorizerFunction } from "../../lib/wiring/authorizer.ts";

/** Asked by API Gateway who calls, before it calls the function of a route; what is answered is kept by the header Authorization. */
export const handler = authorizerFunction();
