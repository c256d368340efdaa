import type { Db } from "../../runtime/postgres/db.ts";
import type { Values } from "../../runtime/settings.ts";
import { findKey } from "../keys/find.ts";
import type { Outcome } from "../outcome.ts";
import { credentialOf } from "./credential.ts";
import { tokensOf } from "./oidc.ts";
import { findPerson } from "./people.ts";
import type { identitySettings } from "./settings.ts";

/** Finds out who calls by the headers of a call, their names in lower case. Throws Unavailable where an OIDC issuer does not answer. */
export type Authenticate = (headers: Readonly<Record<string, string | undefined>>) => Promise<Outcome>;

/** Takes keys and, where an issuer is set, its tokens. */
export function authenticator(db: Db, settings: Values<typeof identitySettings>): Authenticate {
  const { issuer } = settings;
  const check = issuer === undefined ? undefined : tokensOf({ ...settings, issuer });
  return async (headers) => {
    const shown = credentialOf(headers);
    if ("refused" in shown) return shown;
    const { token } = shown;
    if (!isToken(token)) return await findKey(db, token);
    if (check === undefined) return { refused: "token_unsupported" };
    const person = await check(token);
    return "refused" in person ? person : await findPerson(db, settings.roles, person);
  };
}

/** Whether it is a JWT by its form; what is neither that nor a key is a key that is not there. */
function isToken(text: string): boolean {
  return text.split(".").length === 3;
}
