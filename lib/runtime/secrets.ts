import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";

/** Five minutes: what the Lambda secrets extension uses, and the longest that a rotated password goes unnoticed. */
const TTL_MS = 300_000;

const client = new SecretsManagerClient({});
const cache = new Map<string, { value: Promise<string>; until: number }>();

/**
 * The current text of a secret, kept for five minutes. A failed read is not kept; `fresh` reads again at once, for the
 * moment when the old value has been refused.
 */
export async function secret(arn: string, fresh = false): Promise<string> {
  const kept = cache.get(arn);
  if (kept !== undefined && !fresh && kept.until > Date.now()) return await kept.value;
  const value = read(arn);
  cache.set(arn, { value, until: Date.now() + TTL_MS });
  try {
    return await value;
  } catch (error) {
    cache.delete(arn);
    throw error;
  }
}

async function read(arn: string): Promise<string> {
  const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn }));
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
