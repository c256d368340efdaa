// Own, though Powertools has parameters: a vendor's key needs the version before the last rotation too.
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";

/** Five minutes: what the Lambda secrets extension uses, and the longest that a rotated password goes unnoticed. */
const TTL_MS = 300_000;

const READ_MS = 5_000;

const client = new SecretsManagerClient({ maxAttempts: 3 });
const cache = new Map<string, { value: Promise<string>; until: number }>();

/**
 * The current text of a secret, kept for five minutes. A failed read is not kept; `fresh` reads again at once, for the
 * moment when the old value has been refused.
 */
export async function secret(arn: string, fresh = false): Promise<string> {
  const kept = cache.get(arn);
  if (kept !== undefined && !fresh && kept.until > Date.now()) return await kept.value;
  const reading = { value: read(arn), until: Date.now() + TTL_MS };
  cache.set(arn, reading);
  try {
    return await reading.value;
  } catch (error) {
    if (cache.get(arn) === reading) cache.delete(arn);
    throw error;
  }
}

async function read(arn: string): Promise<string> {
  const command = new GetSecretValueCommand({ SecretId: arn });
  const { SecretString } = await client.send(command, { abortSignal: AbortSignal.timeout(READ_MS) });
  if (SecretString === undefined) throw new Error(`Secret ${arn} has no text. Store it as a string, not as binary.`);
  return SecretString;
}

/**
 * The text before the last rotation, which a vendor may still be the only one to know; undefined where there is none. Not
 * kept: it is asked for when the current one has been refused.
 */
export async function previousSecret(arn: string): Promise<string | undefined> {
  try {
    const command = new GetSecretValueCommand({ SecretId: arn, VersionStage: "AWSPREVIOUS" });
    return (await client.send(command)).SecretString;
  } catch (error) {
    if ((error as Error).name === "ResourceNotFoundException") return undefined;
    throw error;
  }
}
