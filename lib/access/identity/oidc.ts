import type { errors as JoseErrors, JWTPayload, JWTVerifyGetKey } from "jose";
import * as z from "zod";
import { Unavailable } from "../../errors.ts";
import type { Values } from "../../runtime/settings.ts";
import type { Reason } from "../refusal.ts";
import type { Person } from "./people.ts";
import type { identitySettings } from "./settings.ts";

/** With keys that only the issuer has: HMAC would take its public key for a secret. */
const ALGORITHMS = ["RS256", "ES256", "EdDSA"];
const MAX_TOKEN_AGE = "24h";
const CLOCK_TOLERANCE_SECONDS = 5;
const PATIENCE_MS = 3_000;
/** How long the issuer's keys are taken as they are, and how long after a look nobody looks for an unknown one. */
const KEYS_MS = 600_000;
const COOLDOWN_MS = 30_000;
/** How long after a failure the issuer is left alone. */
const PAUSE_MS = 5_000;

export type OidcSettings = Values<typeof identitySettings> & { issuer: string };

/** Checks a token: who it is of, or why it is not taken. Throws Unavailable where the issuer does not answer. */
export type CheckToken = (token: string) => Promise<Person | { refused: Reason }>;

/**
 * Checks the tokens of an issuer by its published keys, which are found with the first token and kept. The library is loaded then,
 * too: who has keys alone never does.
 */
export function tokensOf(settings: OidcSettings, now: () => number = Date.now): CheckToken {
  let finding: Promise<JWTVerifyGetKey> | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;
  const keys = async (): Promise<JWTVerifyGetKey> => {
    if (finding === undefined && now() - failedAt < PAUSE_MS) throw away("has just not answered");
    finding ??= findKeys(settings.issuer);
    try {
      return await finding;
    } catch (error) {
      finding = undefined;
      failedAt = now();
      throw error;
    }
  };
  return async (token) => {
    const [{ jwtVerify, errors }, issuersKeys] = [await import("jose"), await keys()];
    try {
      const { payload } = await jwtVerify(token, issuersKeys, {
        issuer: settings.issuer,
        audience: settings.audience,
        algorithms: ALGORITHMS,
        requiredClaims: ["sub", "exp"],
        maxTokenAge: MAX_TOKEN_AGE,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
      });
      return personOf(payload, settings);
    } catch (error) {
      if (error instanceof errors.JWTExpired) return { refused: "token_expired" };
      if (error instanceof errors.JWTClaimValidationFailed) return { refused: wrongClaim(error.claim) };
      if (error instanceof errors.JWKSTimeout || !isOfToken(error, errors)) throw away("does not answer", error);
      return { refused: "token_invalid" };
    }
  };
}

/** Whether the token is at fault, and not the way to the issuer: that is a plain JOSEError, or an error of fetch. */
function isOfToken(error: unknown, { JOSEError }: typeof JoseErrors): boolean {
  return error instanceof JOSEError && error.code !== JOSEError.code;
}

function wrongClaim(claim: string): Reason {
  if (claim === "iss") return "token_wrong_issuer";
  return claim === "aud" ? "token_wrong_audience" : "token_invalid";
}

const Discovered = z.object({ issuer: z.string(), jwks_uri: z.url() });

/** The issuer's keys by its discovery document. @see https://openid.net/specs/openid-connect-discovery-1_0.html */
async function findKeys(issuer: string): Promise<JWTVerifyGetKey> {
  const { createRemoteJWKSet } = await import("jose");
  const at = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const said = await fetch(at, { signal, redirect: "error" })
    .then(
      async (answer): Promise<unknown> =>
        answer.ok ? await answer.json() : Promise.reject(new Error(`It answered ${answer.status}.`)),
    )
    .catch((cause: unknown) => Promise.reject(away("does not answer", cause)));
  const found = Discovered.safeParse(said);
  if (!found.success || found.data.issuer !== issuer) throw away("does not describe itself as OIDC_ISSUER");
  const wishes = { cacheMaxAge: KEYS_MS, cooldownDuration: COOLDOWN_MS, timeoutDuration: PATIENCE_MS };
  return createRemoteJWKSet(new URL(found.data.jwks_uri), wishes);
}

function away(what: string, cause?: unknown): Unavailable {
  return new Unavailable(`The OIDC issuer ${what}. Send the call again, or use a key.`, { cause });
}

const Groups = z.union([z.array(z.string()), z.string().transform((one) => [one])]).catch([]);

function personOf(payload: JWTPayload, { issuer, groupsClaim, nameClaim }: OidcSettings): Person {
  const said = payload[nameClaim];
  // An address that the issuer has not seen proven is anybody's to say: its person is called as the issuer alone calls it.
  const isProven = nameClaim !== "email" || payload["email_verified"] === true;
  const name = isProven ? said : said && payload.sub;
  return {
    subject: `${issuer}|${payload.sub ?? ""}`,
    name: typeof name === "string" ? name : undefined,
    groups: Groups.parse(payload[groupsClaim]),
    until: payload.exp === undefined ? null : new Date(payload.exp * 1000),
  };
}
