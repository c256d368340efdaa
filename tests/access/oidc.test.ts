import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { DEFAULT_TEAM, system } from "../../lib/access/actor.ts";
import { authenticator } from "../../lib/access/identity/authenticate.ts";
import { identitySettings } from "../../lib/access/identity/settings.ts";
import { putMember } from "../../lib/access/members/members.ts";
import { Unavailable } from "../../lib/errors.ts";
import { uuidv7 } from "../../lib/runtime/ids.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { newTeam } from "../support/database/teams.ts";

const db = connect();
let idp: Server;
let issuer: string;
let asked: string[] = [];
let isDown = false;
const keys: Record<string, { privateKey: CryptoKey; publicKey: CryptoKey }> = {};

beforeAll(async () => {
  for (const alg of ["RS256", "ES256", "EdDSA"]) keys[alg] = await generateKeyPair(alg, { extractable: true });
  const jwks = await Promise.all(
    Object.entries(keys).map(async ([alg, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid: alg, alg })),
  );
  idp = createServer(({ url = "" }, response) => {
    asked.push(url);
    if (isDown) return void response.writeHead(503).end();
    const told = url === "/keys" ? { keys: jwks } : { issuer, jwks_uri: `${issuer}/keys` };
    response.setHeader("content-type", "application/json").end(JSON.stringify(told));
  });
  await once(idp.listen(0, "127.0.0.1"), "listening");
  issuer = `http://127.0.0.1:${(idp.address() as AddressInfo).port}`;
});
afterAll(() => void idp.close());
beforeEach(async () => {
  asked = [];
  isDown = false;
  await db`delete from team_memberships`;
  await db`delete from users`;
});

const ROLES = { ops: "admin", leads: "owner", devs: { team: "acme", role: "member" } };

function authenticate(more: Record<string, string> = {}) {
  const env = { OIDC_ISSUER: issuer, OIDC_AUDIENCE: "waybill", OIDC_ROLES: JSON.stringify(ROLES), ...more };
  const known = authenticator(db, readSettings(identitySettings, env));
  return async (shown: string) => await known({ authorization: `Bearer ${shown}` });
}

type Said = {
  alg?: string;
  kid?: string;
  key?: CryptoKey | Uint8Array;
  claims?: JWTPayload;
  exp?: string;
  iat?: number;
};

async function token({ alg = "RS256", kid = alg, key, claims = {}, exp = "5m", iat }: Said = {}): Promise<string> {
  const payload = {
    iss: issuer,
    aud: "waybill",
    sub: "u1",
    email: "ada@example.com",
    email_verified: true,
    groups: ["ops"],
    ...claims,
  };
  const jwt = new SignJWT(payload).setProtectedHeader({ alg, kid }).setIssuedAt(iat).setExpirationTime(exp);
  return await jwt.sign(key ?? keys[alg]?.privateKey ?? new Uint8Array(32));
}

test.each(["RS256", "ES256", "EdDSA"])(
  "a token signed by %s is taken, and its person kept by its subject",
  async (alg) => {
    const known = authenticate();
    const outcome = await known(await token({ alg }));

    expect(outcome).toMatchObject({
      caller: { kind: "user", name: "ada@example.com", team: DEFAULT_TEAM, role: "admin", scopes: null, keyId: null },
      until: expect.any(Date),
    });
    const again = await known(await token({ alg, claims: { email: "another@example.com" } }));
    expect(again).toMatchObject({ caller: { name: "ada@example.com" } });
    expect(await db`select name, subject from users`).toEqual([{ name: "ada@example.com", subject: `${issuer}|u1` }]);
    expect(asked).toEqual(["/.well-known/openid-configuration", "/keys"]);
  },
);

test.each<[string, string, () => Promise<string>]>([
  ["another audience", "token_wrong_audience", () => token({ claims: { aud: "else" } })],
  ["another issuer", "token_wrong_issuer", () => token({ claims: { iss: "https://else.example" } })],
  ["a time that is over", "token_expired", () => token({ exp: "-1m" })],
  ["an age of two days", "token_expired", () => token({ iat: Math.floor(Date.now() / 1000) - 172_800 })],
  ["no signature", "token_invalid", async () => new UnsecuredJWT({ iss: issuer, aud: "waybill", sub: "u1" }).encode()],
  [
    "the public key as a secret",
    "token_invalid",
    async () => {
      const pem = new TextEncoder().encode(await exportSPKI(keys["RS256"]?.publicKey as CryptoKey));
      return await token({ alg: "HS256", kid: "RS256", key: pem });
    },
  ],
  ["a key that the issuer does not have", "token_invalid", () => token({ kid: "unknown" })],
  [
    "another's key under a known name",
    "token_invalid",
    async () => await token({ key: (await generateKeyPair("RS256")).privateKey }),
  ],
  ["no subject", "token_invalid", () => token({ claims: { sub: undefined } as unknown as JWTPayload })],
  ["a signature that is cut", "token_invalid", async () => (await token()).slice(0, -8)],
  ["no name", "token_without_name", () => token({ claims: { email: undefined } })],
  ["a name with a colon", "token_without_name", () => token({ claims: { email: "key:ci" } })],
  ["a group that has no role", "no_role", () => token({ claims: { groups: ["else"] } })],
  ["a team that is not there", "no_role", () => token({ claims: { groups: ["devs"] } })],
  ["what is no token", "token_invalid", async () => "a.b.c"],
])("a token with %s is refused as %s", async (_what, refused, made) => {
  expect(await authenticate()(await made())).toEqual({ refused });
});

test.each([false, undefined, "true"])(
  "an e-mail address that the issuer has not seen proven (%j) names nobody",
  async (email_verified) => {
    const outcome = await authenticate()(await token({ claims: { email_verified } }));

    expect(outcome).toMatchObject({ caller: { name: "u1", role: "admin" } });
    expect(await db`select name from users`).toEqual([{ name: "u1" }]);
  },
);

test("whom a team has named for itself has taken the name from nobody, and is nobody who signs in", async () => {
  const acme = await newTeam(db, `acme-${uuidv7().slice(-6)}`);
  const put = async (team: string) =>
    await db.begin(async (tx) => await putMember(tx, system("test", team), "ada@example.com", { role: "owner" }));
  await put(acme.team);

  const outcome = await authenticate()(await token());

  expect(outcome).toMatchObject({ caller: { name: "ada@example.com", team: DEFAULT_TEAM, role: "admin" } });
  const known = "caller" in outcome ? outcome.caller.id : "";
  const memberships = async () =>
    await db`select team_id as team, user_id = ${known} as known from team_memberships
      join users using (user_id) where users.name = 'ada@example.com' order by known`;
  expect(await memberships()).toEqual([{ team: acme.team, known: false }]);
  // Who is known by then is taken in by the name, in a team that has not named anybody so.
  await put(DEFAULT_TEAM);
  expect(await memberships()).toEqual([
    { team: acme.team, known: false },
    { team: DEFAULT_TEAM, known: true },
  ]);
});

test("where no issuer is set no token is taken, and nobody is asked", async () => {
  const known = authenticator(db, readSettings(identitySettings, {}));

  expect(await known({ authorization: `Bearer ${await token()}` })).toEqual({ refused: "token_unsupported" });
  expect(asked).toEqual([]);
});

test("an issuer that is down makes nobody unknown for good: it is asked again after a pause", async () => {
  const known = authenticate();
  isDown = true;
  const good = await token();

  await expect(known(good)).rejects.toThrow(Unavailable);
  await expect(known(good)).rejects.toThrow(Unavailable);
  expect(asked).toHaveLength(1);
  const later = authenticate();
  isDown = false;
  expect(await later(good)).toHaveProperty("caller");
  isDown = true;
  expect(await later(await token({ alg: "ES256" }))).toHaveProperty("caller");
});

test("the first group that is granted something decides on the team, the highest role there counts", async () => {
  await db`insert into teams (name) values ('acme') on conflict do nothing`;
  const known = authenticate();

  expect(await known(await token({ claims: { groups: ["devs", "leads", "ops"] } }))).toMatchObject({
    caller: { team: DEFAULT_TEAM, role: "owner" },
  });
  const [acme] = await db<{ id: string }[]>`select team_id as id from teams where name = 'acme'`;
  expect(await known(await token({ claims: { groups: "devs" } }))).toMatchObject({
    caller: { team: acme?.id, role: "member" },
  });
  await db`delete from teams where name = 'acme'`;
});

test("without a group a person is what it is a member as", async () => {
  await db`
    with person as (insert into users (name, subject) values ('ada', ${`${issuer}|u1`}) returning user_id)
    insert into team_memberships (team_id, user_id, role) select ${DEFAULT_TEAM}, user_id, 'viewer' from person
  `;

  const outcome = await authenticate()(await token({ claims: { groups: undefined } }));
  expect(outcome).toMatchObject({ caller: { name: "ada", role: "viewer" } });
});

test("nobody gets the name of somebody else", async () => {
  await db`insert into users (name) values ('ada@example.com')`;

  expect(await authenticate()(await token())).toEqual({ refused: "name_taken" });
});

test("settings that cannot be are refused with what they may be", () => {
  const read = (env: Record<string, string>) => () => readSettings(identitySettings, env);

  expect(read({ OIDC_ROLES: "{" })).toThrow("OIDC_ROLES must be JSON");
  expect(read({ OIDC_ROLES: '{"ops":"root"}' })).toThrow("OIDC_ROLES");
  expect(read({ OIDC_ISSUER: "http://login.example.com" })).toThrow("OIDC_ISSUER must be https://");
  expect(read({ IAM_ROLE: "root" })).toThrow("IAM_ROLE");
});
