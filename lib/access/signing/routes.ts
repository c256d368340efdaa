import * as z from "zod";
import type { Route } from "../../runtime/http/route.ts";

/** A public key of the control plane's as a JSON Web Key (RFC 8037). */
export const PublicKey = z
  .strictObject({
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    kid: z.string().describe("the key_id of what it has signed"),
    x: z.string().describe("the 32 bytes of the key, in base64url"),
    alg: z.literal("EdDSA"),
    use: z.literal("sig"),
  })
  .meta({ id: "PublicKey" });

export const getSigningKeys = {
  method: "GET",
  path: "/.well-known/jwks.json",
  operation: "getSigningKeys",
  summary:
    "The public keys with which agents check what they are told: the one that signs now first, then the one before it.",
  access: "open",
  function: "get-signing-keys",
  answers: {
    200: { description: "A JSON Web Key Set (RFC 7517)", schema: z.strictObject({ keys: z.array(PublicKey) }) },
  },
} as const satisfies Route;

/** Every call about signatures. */
export const signingRoutes = [getSigningKeys] satisfies Route[];
