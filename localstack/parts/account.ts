/** By what the AWS SDK finds an account, beside keys, which the local stack sets itself. */
const OF_AN_ACCOUNT =
  /^AWS_(DEFAULT_PROFILE|PROFILE|SESSION_TOKEN|CREDENTIAL_EXPIRATION|ROLE_ARN|ROLE_SESSION_NAME|WEB_IDENTITY_TOKEN_FILE|CONTAINER_.*)$/;

/** The environment of this process without what leads to an account of whoever started it. */
export function withoutAccount(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !OF_AN_ACCOUNT.test(name)));
}

/** Takes it out of this process, for good. */
export function leaveAccount(): void {
  for (const name of Object.keys(process.env)) if (OF_AN_ACCOUNT.test(name)) delete process.env[name];
}
