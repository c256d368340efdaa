import type { Reason } from "../refusal.ts";

/** What a call shows of its caller. */
export type Credential = { token: string } | { refused: Reason };

const BEARER = /^bearer +([\x21-\x7e]+)$/i;

/**
 * The one key or token of a call, from `Authorization: Bearer` or, as clients of Anthropic's API send it, `x-api-key`. Where both are
 * sent they must be the same. Header names are in lower case.
 */
export function credentialOf(headers: Readonly<Record<string, string | undefined>>): Credential {
  const { authorization, "x-api-key": key } = headers;
  if (authorization === undefined) return key ? { token: key.trim() } : { refused: "credentials_missing" };
  const token = BEARER.exec(authorization.trim())?.[1];
  if (token === undefined) return { refused: "credentials_malformed" };
  return key !== undefined && key.trim() !== token ? { refused: "credentials_conflict" } : { token };
}
