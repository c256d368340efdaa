// node:http and not fetch or undici's Agent: half the CPU time a call, and it tells when the connection stands.
import http from "node:http";
import https from "node:https";

/** One POST to a vendor. `signal` ends it at any point, the reading of the answer included. */
export type Outbound = {
  url: string;
  headers: Record<string, string>;
  body: string;
  connectMs: number;
  signal: AbortSignal;
  /** The connection stands, and the request goes out on it: from here on the vendor may have read it. */
  onLeaving: () => void;
};
/** The answer as it comes: reading `body` throws where the connection breaks before its end. */
export type Inbound = {
  status: number;
  headers: Record<string, string | undefined>;
  body: AsyncIterable<Buffer>;
};
export type Post = (request: Outbound) => Promise<Inbound>;

/** The connection could not be made in time; told apart from an answer that does not come. */
export class ConnectTimeout extends Error {
  override name = "ConnectTimeout";
}

const agents = {
  "http:": new http.Agent({ keepAlive: true, maxFreeSockets: 64 }),
  "https:": new https.Agent({ keepAlive: true, maxFreeSockets: 64 }),
};

/** Sends over a kept-alive connection. Throws ConnectTimeout, the signal's reason, or the socket's own error. */
export async function post({ url, headers, body, connectMs, signal, onLeaving }: Outbound): Promise<Inbound> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Inbound>();
  const secure = url.startsWith("https:");
  const request = (secure ? https : http).request(url, {
    method: "POST",
    agent: agents[secure ? "https:" : "http:"],
    headers: { ...headers, "content-length": Buffer.byteLength(body) },
  });
  const abort = () => request.destroy(asError(signal.reason));
  signal.addEventListener("abort", abort, { once: true });
  let timer: NodeJS.Timeout | undefined;
  request.on("socket", (socket) => {
    if (!socket.connecting) return onLeaving();
    timer = setTimeout(() => request.destroy(new ConnectTimeout(`no connection in ${connectMs} ms`)), connectMs);
    socket.once(secure ? "secureConnect" : "connect", () => {
      clearTimeout(timer);
      onLeaving();
    });
  });
  request.on("error", (error) => {
    clearTimeout(timer);
    reject(error);
  });
  request.on("close", () => signal.removeEventListener("abort", abort));
  request.on("response", (response) => {
    resolve({
      status: response.statusCode ?? 0,
      headers: response.headers as Record<string, string | undefined>,
      body: response,
    });
  });
  request.end(body);
  return await promise;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error("aborted");
}
