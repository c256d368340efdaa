import { CallerError } from "../errors.ts";
import type { Denied } from "./may.ts";
import { REFUSALS, type Reason } from "./refusal.ts";

/** Nobody is taken for the caller: 401 with WWW-Authenticate (RFC 6750, 3), or 403. */
export function refusedAs(reason: Reason): CallerError {
  const [status, message] = REFUSALS[reason];
  if (status === 403) return new CallerError(status, reason, message);
  // Who has shown nothing is told no error.
  const error = reason === "credentials_missing" ? "" : `, error="invalid_token", error_description="${reason}"`;
  return new CallerError(status, reason, message, {
    headers: { "www-authenticate": `Bearer realm="waybill"${error}` },
  });
}

/** The caller may not make this call: 403. */
export function deniedAs({ code, message }: Denied): CallerError {
  return new CallerError(403, code, message);
}
