import { getSigningKeys } from "../../lib/access/signing/routes.ts";
import { signingKeys } from "../../lib/wiring/calls/signing.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";

/** GET /.well-known/jwks.json: with which keys agents check what they are told. */
export const handler = httpFunction(functionPlane(), [getSigningKeys, signingKeys]);
