import type { getSigningKeys } from "../../access/signing/routes.ts";
import { ownPublicKeys } from "../sealing.ts";
import type { Answers } from "../serve.ts";

/** The control plane's public keys, as they are now: an agent that asks has just met one that it does not know. */
export const signingKeys: Answers<typeof getSigningKeys> = async ({ settings }) => {
  const keys = (await ownPublicKeys(settings)).map(({ keyId, publicKey }) => ({
    kty: "OKP" as const,
    crv: "Ed25519" as const,
    kid: keyId,
    x: publicKey.toString("base64url"),
    alg: "EdDSA" as const,
    use: "sig" as const,
  }));
  return { status: 200, body: { keys } };
};
