import { type SigningSettings, signingSettings } from "../access/signing/settings.ts";
import { ConfigError } from "../errors.ts";
import { keyIdOf, publicKeyOf, type Sign, signingKeyOf, signWith } from "../protocol/signature.ts";
import type { Seal } from "../work/core/messages.ts";
import type { ControlPlane, Part } from "./control-plane.ts";

/**
 * With what messages to agents are sealed. Reads the secret with the first use and then every five minutes; while it cannot be read
 * again the last one goes on. Throws a ConfigError where there is none, Unavailable where it could not be read yet.
 */
export const sealing: Part<() => Promise<Seal>> = (plane) => {
  let kept: { secret: string; sign: Sign } | undefined;
  return async () => {
    const secret = await currentSecret(plane.settings.signing).catch((error: unknown) => {
      if (kept === undefined) throw error;
      plane.log.warn("signing secret not read again", { error });
      return kept.secret;
    });
    if (kept?.secret !== secret) kept = { secret, sign: signWith(signingKeyOf(secret)) };
    return { ...plane.stamp, sign: kept.sign };
  };
};

/** The same for one use. */
export async function sealOf(plane: Pick<ControlPlane, "part">): Promise<Seal> {
  return await plane.part(sealing)();
}

/** Whose signatures agents take: that of the secret and that of the one before, while there is one. Read anew each time. */
export async function ownPublicKeys({
  signing,
}: {
  signing: SigningSettings;
}): Promise<{ keyId: string; publicKey: Buffer }[]> {
  const secrets = [await currentSecret(signing, true), await previousSecret(signing)];
  return [...new Set(secrets)].flatMap((secret) => {
    if (secret === undefined) return [];
    const publicKey = publicKeyOf(signingKeyOf(secret));
    return [{ keyId: keyIdOf(publicKey), publicKey }];
  });
}

async function currentSecret({ secret, secretArn }: SigningSettings, fresh = false): Promise<string> {
  if (secretArn !== undefined) {
    // Imported when first needed: loading the SDK's client costs 100 ms, which a function without a secret never pays.
    const { secret: read } = await import("../runtime/aws/secrets.ts");
    return readable(await read(secretArn, fresh));
  }
  if (secret !== undefined) return secret;
  const { env, or } = signingSettings.secret;
  throw new ConfigError(`${env} (or ${or}) must be set: agents take no message that is not signed.`);
}

async function previousSecret({ previous, secretArn }: SigningSettings): Promise<string | undefined> {
  if (secretArn === undefined) return previous;
  const { previousSecret: read } = await import("../runtime/aws/secrets.ts");
  return await read(secretArn);
}

function readable(secret: string): string {
  const parsed = signingSettings.secret.schema.safeParse(secret);
  if (parsed.success && parsed.data !== undefined) return parsed.data;
  throw new ConfigError(
    "The secret of SIGNING_SECRET_ARN must have at least 32 characters: put another value into it.",
  );
}
