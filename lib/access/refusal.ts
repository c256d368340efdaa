/** Why nobody is taken for the caller, by its code, which is stable: what is answered, and what to do. */
export const REFUSALS = {
  credentials_missing: [401, "This call takes a key. Send it as Authorization: Bearer wb_…"],
  credentials_malformed: [401, "The header Authorization is no Bearer with one token. Send Authorization: Bearer wb_…"],
  credentials_conflict: [401, "The headers Authorization and x-api-key have different keys. Send one of them."],
  key_unknown: [401, "There is no such key. Check that it is whole, or have one made: waybill keys create"],
  key_expired: [401, "The key has expired. Have another one made: waybill keys create"],
  key_revoked: [401, "The key has been revoked. Have another one made: waybill keys create"],
  key_not_valid: [401, "The key has been revoked, or has expired. Have another one made: waybill keys create"],
  membership_ended: [401, "Whose key this is has left the team. Ask an owner of the team to take it in again."],
  token_unsupported: [401, "Tokens of an identity provider are not taken here. Send a key, or set OIDC_ISSUER."],
  token_invalid: [401, "The token is not one that the configured issuer has signed, or is not whole. Get another one."],
  token_expired: [401, "The token has expired, or is too old. Get another one from the issuer."],
  token_wrong_issuer: [401, "The token is of another issuer than OIDC_ISSUER. Get one from that."],
  token_wrong_audience: [401, "The token is for another audience than OIDC_AUDIENCE. Ask the issuer for one for that."],
  token_without_name: [401, "The token has no usable name in the claim OIDC_NAME_CLAIM. Have the issuer put it in."],
  name_taken: [403, "Somebody else here has the name of this token. Ask an owner to name its subject as a member's."],
  no_role: [403, "No group of this token has a role in a team. Ask who keeps OIDC_ROLES, or an owner of a team."],
} as const satisfies Record<string, readonly [status: 401 | 403, message: string]>;

export type Reason = keyof typeof REFUSALS;
export const REASONS = Object.keys(REFUSALS) as [Reason, ...Reason[]];
