// Own, and not postgres.js's: that checks an address (10.0.0.5) against the name `localhost`, so that the certificate of the one passes
// for the other, and says of a server without TLS, or of another CA, only what Node says.
import { readFileSync } from "node:fs";
import { isIP, type Socket } from "node:net";
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import { ConfigError } from "../../errors.ts";
import { within } from "../../time.ts";

/** libpq's words, from none to all: `require` verifies nothing, `verify-ca` who signed, `verify-full` the host's name as well. */
const MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
type Mode = (typeof MODES)[number];

/** A host that is this machine: what goes there leaves by no wire. */
const LOOPBACK = /^[^/]*\/\/([^/?]*@)?(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?([/?]|$)/;

/** How a connection is encrypted; one that is not has none. */
export type Tls = {
  mode: Exclude<Mode, "disable">;
  /** TLS from the first byte, as Postgres 17 and newer take it (`sslnegotiation=direct`). */
  direct: boolean;
  context: SecureContext;
};

/** What is wrong with a connection string's parameters about TLS; undefined where nothing is. */
export function tlsFault(url: string): string | undefined {
  if (paramsOf(url).has("sslrootcert")) return "has sslrootcert; give that file as DATABASE_CA instead";
  const word = wordOf(url);
  if (word === null || modeOf(word) !== undefined) return undefined;
  return `has sslmode=${word.slice(0, 30)}, which must be one of ${MODES.join(", ")}`;
}

/** Whether a connection string leaves open if what goes to another machine is encrypted. */
export function isTlsUnsaid(url: string): boolean {
  return wordOf(url) === null && !LOOPBACK.test(url);
}

/** Whether a connection string has the server's certificate checked once a CA is named: beside any other a CA checks nothing. */
export function checksByCa(url: string): boolean {
  return ["require", "verify-ca", "verify-full"].includes(sslmodeOf(url) ?? "");
}

/** The mode that a connection string means, plain text where it says nothing; undefined: a word that is none. */
export function sslmodeOf(url: string): Mode | undefined {
  const word = wordOf(url);
  return word === null ? "disable" : modeOf(word);
}

/**
 * What a connection string says about TLS, with the certificates of `ca`, a file, in place of Node's own; undefined for plain text.
 * Throws a ConfigError where it has no word for it and `mustSay`, or where a CA is given that nothing would be checked against.
 */
export function tlsOf(url: string, ca: string | undefined, mustSay: boolean): Tls | undefined {
  if (mustSay && isTlsUnsaid(url)) {
    throw new ConfigError(
      "DATABASE_URL does not say whether to speak TLS. End it with ?sslmode=verify-full, and set DATABASE_CA where its " +
        "certificate is of a CA that Node does not know, such as RDS's; ?sslmode=disable sends everything in the clear.",
    );
  }
  const mode = sslmodeOf(url);
  if (ca !== undefined && !checksByCa(url)) {
    throw new ConfigError(
      `DATABASE_CA is set, and DATABASE_URL has sslmode=${mode}, which checks nothing. End it with ?sslmode=verify-full`,
    );
  }
  if (mode === undefined || mode === "disable") return undefined;
  return {
    // As libpq has it: whoever names a CA wants it to be checked.
    mode: mode === "require" && ca !== undefined ? "verify-ca" : mode,
    direct: paramsOf(url).get("sslnegotiation") === "direct",
    context: createSecureContext(ca === undefined ? {} : { ca: certificatesOf(ca) }),
  };
}

/** postgres.js's own word for it, too: `ssl=true` verifies, as it does there. */
function modeOf(word: string): Mode | undefined {
  if (word === "true") return "verify-full";
  if (word === "false") return "disable";
  return MODES.find((mode) => mode === word);
}

function wordOf(url: string): string | null {
  const params = paramsOf(url);
  return params.get("sslmode") ?? params.get("ssl");
}

function paramsOf(url: string): URLSearchParams {
  return new URLSearchParams(/\?(.*)$/s.exec(url)?.[1] ?? "");
}

function certificatesOf(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new ConfigError(`DATABASE_CA cannot be read: ${(cause as Error).message}. Give a file of PEM certificates.`, {
      cause,
    });
  }
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new ConfigError(`DATABASE_CA, ${file}, has no certificate. Give a file of PEM certificates.`);
}

/** What postgres.js waits for a connection, too. */
const HANDSHAKE_MS = 10_000;

/**
 * Speaks TLS on a socket that is being connected to `host`; answers the socket for what follows, which is the same one where the
 * server has no TLS and need not. Rejects, with the code TLS_REFUSED and what to do, where it has none or its certificate does not do.
 */
export async function secured(socket: Socket, host: string, tls: Tls): Promise<Socket> {
  // Whoever waits has the error; one that comes later belongs to nobody.
  socket.on("error", () => {});
  try {
    return await within(HANDSHAKE_MS, handshake(socket, host, tls), () => late(host));
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function handshake(socket: Socket, host: string, tls: Tls): Promise<Socket> {
  if (!tls.direct && !(await takesTls(socket))) {
    if (tls.mode === "allow" || tls.mode === "prefer") return socket;
    const todo = "Turn it on there, or say sslmode=disable to send everything, the password too, in the clear.";
    throw refused(`The database at ${host} has no TLS, and sslmode=${tls.mode} wants it. ${todo}`);
  }
  const secure = connect({
    socket,
    secureContext: tls.context,
    rejectUnauthorized: tls.mode.startsWith("verify"),
    checkServerIdentity: (_name, certificate) => (tls.mode === "verify-full" ? mismatch(host, certificate) : undefined),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(tls.direct ? { ALPNProtocols: ["postgresql"] } : {}),
  });
  secure.on("error", () => {});
  await ready(secure, host);
  return secure;
}

function mismatch(host: string, certificate: PeerCertificate): Error | undefined {
  const error = checkServerIdentity(host, certificate);
  if (error === undefined) return undefined;
  const names = certificate.subjectaltname ?? certificate.subject.CN;
  return refused(
    `The database's certificate is for ${String(names)} and not for ${host}. Connect by a name that it has.`,
  );
}

/** The request of protocol 3 for TLS: its length, and a number that no version has. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Asks; S is yes. More than one byte would be somebody else's, written before TLS begins (CVE-2021-23222). */
async function takesTls(socket: Socket): Promise<boolean> {
  socket.write(SSL_REQUEST);
  const answer = await next(socket, "data");
  return answer.length === 1 && answer[0] === 0x53;
}

async function ready(secure: TLSSocket, host: string): Promise<void> {
  try {
    await next(secure, "secureConnect");
  } catch (cause) {
    const { code = "", message } = cause as { code?: string; message: string };
    if (code === REFUSED) throw cause;
    // Set where the certificate was looked at and did not do.
    if (secure.authorizationError) {
      const todo = "Set DATABASE_CA to a file with the certificates of the CA that signed it.";
      throw refused(`The certificate of the database at ${host} is not trusted: ${message}. ${todo}`, cause);
    }
    if (!code.startsWith("ERR_SSL")) throw cause;
    throw refused(`What listens at ${host} speaks no TLS that we know: ${message}. Is it the database?`, cause);
  }
}

/** The next event of this name; rejects where the socket fails or closes first. */
async function next(socket: Socket, event: "data" | "secureConnect"): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const onClose = () => reject(lost());
  socket.once(event, resolve).once("error", reject).once("close", onClose);
  try {
    return await promise;
  } finally {
    socket.off(event, resolve).off("error", reject).off("close", onClose);
  }
}

const REFUSED = "TLS_REFUSED";

function refused(message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code: REFUSED });
}

function lost(): Error {
  return Object.assign(new Error("The database closed the connection before it was encrypted."), {
    code: "CONNECTION_CLOSED",
  });
}

function late(host: string): never {
  const message = `The database at ${host} did not finish the TLS handshake within ${HANDSHAKE_MS} ms.`;
  throw Object.assign(new Error(message), { code: "CONNECT_TIMEOUT" });
}
