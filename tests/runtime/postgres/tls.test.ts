import { createServer, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConfigError } from "../../../lib/errors.ts";
import { reach } from "../../../lib/migrations/reach.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { isConnectionError, isTlsRefused } from "../../../lib/runtime/postgres/db-errors.ts";
import { type Authority, authority, fileOf, startTlsPostgres } from "./tls-server.ts";

let server: Awaited<ReturnType<typeof startTlsPostgres>>;
let ours: Authority;
let others: Authority;

beforeAll(async () => {
  [server, ours, others] = await Promise.all([startTlsPostgres(), authority("ours"), authority("others")]);
  await server.show(await ours.sign("localhost"));
}, 60_000);
afterAll(async () => {
  await server.stop();
});

type Way = { sslmode?: string; ca?: string; host?: string; more?: string; env?: Record<string, string> };

function environment({ sslmode, ca = "", host = "localhost", more = "", env = {} }: Way) {
  const params = [...(sslmode === undefined ? [] : [`sslmode=${sslmode}`]), ...(more === "" ? [] : [more])].join("&");
  return { DATABASE_URL: `postgres://waybill@${host}:${server.port}/postgres?${params}`, DATABASE_CA: ca, ...env };
}

/** Connects once: whether the connection was encrypted, or why there is none. */
async function tried(way: Way): Promise<boolean | Error> {
  const db = connect(environment(way), undefined, {});
  try {
    const [row] = await db<{ ssl: boolean }[]>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`;
    return row?.ssl ?? false;
  } catch (error) {
    return error as Error;
  } finally {
    await db.end({ timeout: 0 });
  }
}

test.each([
  [{}, false],
  [{ sslmode: "disable" }, false],
  [{ sslmode: "allow" }, true],
  [{ sslmode: "prefer" }, true],
  [{ sslmode: "require" }, true],
  [{ more: "ssl=require" }, true],
] as [Way, boolean][])("%o, without a CA, checks nothing; encrypted: %o", async (way, encrypted) => {
  expect(await tried(way)).toBe(encrypted);
});

test.each(["require", "verify-ca", "verify-full"])("%s takes a certificate that our CA has signed", async (sslmode) => {
  expect(await tried({ sslmode, ca: ours.file })).toBe(true);
});

test("a pool over TLS carries transactions, and many rows", async () => {
  const db = connect(environment({ sslmode: "verify-full", ca: ours.file }));
  const rows = await db.begin(async (tx) => await tx`select repeat('x', 1000) from generate_series(1, 5000)`);
  await db.end();

  expect(rows).toHaveLength(5000);
});

test.each([
  { sslmode: "require", ca: true },
  { sslmode: "verify-ca", ca: true },
  { sslmode: "verify-full", ca: true },
  { sslmode: "verify-ca", ca: false },
  { sslmode: "verify-full", ca: false },
  { more: "ssl=true", ca: false },
])(
  "$sslmode$more refuses the certificate of another CA, and says what to set (CA given: $ca)",
  async ({ ca, ...way }) => {
    const error = await tried({ ...way, ca: ca ? others.file : "" });

    expect(error).toMatchObject({
      message: expect.stringMatching(/^The certificate of the database at localhost is not trusted: .*Set DATABASE_CA/),
    });
    expect([isTlsRefused(error), isConnectionError(error)]).toEqual([true, true]);
  },
);

test("the name of another host is refused by verify-full, and by nothing less", async () => {
  await server.show(await ours.sign("db.example"));

  const outcomes = [];
  for (const sslmode of ["require", "verify-ca", "verify-full"]) outcomes.push(await tried({ sslmode, ca: ours.file }));

  expect(outcomes).toEqual([true, true, expect.any(Error)]);
  expect(String(outcomes[2])).toContain(
    "The database's certificate is for DNS:db.example and not for localhost. Connect by a name that it has.",
  );
});

test("an address is checked as an address: neither the certificate of localhost nor that of another will do", async () => {
  await server.show(await ours.sign("localhost"));
  expect(await tried({ sslmode: "verify-full", ca: ours.file, host: "127.0.0.1" })).toMatchObject({
    message: expect.stringContaining("is for DNS:localhost and not for 127.0.0.1"),
  });

  await server.show(await ours.sign("127.0.0.1"));
  expect(await tried({ sslmode: "verify-full", ca: ours.file, host: "127.0.0.1" })).toBe(true);
});

test("TLS from the first byte", async () => {
  await server.show(await ours.sign("localhost"));

  expect(await tried({ sslmode: "verify-full", ca: ours.file, more: "sslnegotiation=direct" })).toBe(true);
});

test("a server without TLS is refused where TLS is asked for, and says what to do", async () => {
  await server.show(null);

  expect(await tried({ sslmode: "prefer" })).toBe(false);
  for (const sslmode of ["require", "verify-ca", "verify-full"]) {
    expect(await tried({ sslmode })).toMatchObject({
      code: "TLS_REFUSED",
      message: `The database at localhost has no TLS, and sslmode=${sslmode} wants it. Turn it on there, or say sslmode=disable to send everything, the password too, in the clear.`,
    });
  }
});

test("a migration that meets the wrong certificate ends at once, with what to set", async () => {
  await server.show(await ours.sign("localhost"));

  const refused = reach(environment({ sslmode: "verify-full", ca: others.file }));

  await expect(refused).rejects.toThrow(ConfigError);
  await expect(refused).rejects.toThrow(/is not trusted: .* Set DATABASE_CA/);
});

test.each([
  ["hangs up", (socket: Socket) => socket.end()],
  ["answers yes with more than that", (socket: Socket) => void socket.once("data", () => socket.write("Sx"))],
  ["answers with an error", (socket: Socket) => void socket.once("data", () => socket.write("E"))],
  ["is no Postgres", (socket: Socket) => void socket.once("data", () => socket.write("HTTP/1.1 400\r\n\r\n"))],
  ["says yes and talks no TLS", (socket: Socket) => void socket.on("data", () => socket.write("S"))],
])("what %s ends the query with an error", async (_what, behave) => {
  const listener = createServer((socket) => {
    socket.on("error", () => {});
    behave(socket);
  }).listen(0, "127.0.0.1");
  await new Promise((listening) => listener.once("listening", listening));
  const { port } = listener.address() as { port: number };
  const db = connect({ DATABASE_URL: `postgres://u@127.0.0.1:${port}/d?sslmode=require` }, undefined, {});

  const error = await db`select 1`.catch((thrown: unknown) => thrown);
  await db.end({ timeout: 0 });
  listener.close();

  expect(isConnectionError(error)).toBe(true);
});

test.each([
  [
    "sslmode=verfy-full",
    /sslmode=verfy-full, which must be one of disable, allow, prefer, require, verify-ca, verify-full/,
  ],
  ["sslmode=verify-full&sslrootcert=/ca.pem", /has sslrootcert; give that file as DATABASE_CA instead/],
])("%s is no connection string", (params, message) => {
  expect(() => connect({ DATABASE_URL: `postgres://u@h/d?${params}` })).toThrow(message);
});

test("a CA that nothing would be checked against is an error, as one that cannot be read is", () => {
  const url = (sslmode: string) => `postgres://u@h/d?sslmode=${sslmode}`;

  expect(() => connect({ DATABASE_URL: url("prefer"), DATABASE_CA: ours.file })).toThrow(
    /sslmode=prefer, which checks/,
  );
  expect(() => connect({ DATABASE_URL: "postgres://u@h/d", DATABASE_CA: ours.file })).toThrow("sslmode=verify-full");
  expect(() => connect({ DATABASE_URL: url("verify-full"), DATABASE_CA: "nowhere.pem" })).toThrow(
    /cannot be read.*ENOENT/,
  );
  const empty = fileOf("empty.pem", "nothing");
  expect(() => connect({ DATABASE_URL: url("verify-full"), DATABASE_CA: empty })).toThrow("has no certificate");
});

test("on Lambda a connection string says whether it speaks TLS, unless the database is on the same machine", () => {
  const lambda = { DATABASE_URL: "postgres://u@h/d", AWS_LAMBDA_RUNTIME_API: "127.0.0.1:9001" };

  expect(() => connect(lambda)).toThrow(/End it with \?sslmode=verify-full/);
  expect(() => connect({ ...lambda, DATABASE_URL: "postgres://u@127.0.0.1:1,db.example/d" })).toThrow("verify-full");
  expect(() => connect({ ...lambda, DATABASE_URL: "postgres://u@127.0.0.1:1/d" })).not.toThrow();
  for (const sslmode of ["disable", "verify-full"]) {
    expect(() => connect({ ...lambda, DATABASE_URL: `postgres://u@h/d?sslmode=${sslmode}` })).not.toThrow();
  }
});
