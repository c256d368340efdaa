import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A server that listens at `url` until it is closed. */
export type HealthServer = { url: string; close: () => Promise<void> };

/** Serves /health, what `look` sees: 200 where every part is "ok", else 503; and /counters, which asks nobody. */
export async function serveHealth(
  port: number,
  host: string,
  counters: () => object,
  look: () => Promise<Record<string, string>>,
): Promise<HealthServer> {
  const answer = async (path: string | undefined, response: ServerResponse) => {
    const parts = path === "/counters" ? {} : await look();
    const healthy = Object.values(parts).every((part) => part === "ok");
    response.writeHead(healthy ? 200 : 503, { "content-type": "application/json" });
    response.end(JSON.stringify({ status: healthy ? "ok" : "unavailable", ...parts, ...counters() }));
  };
  const server = createServer(({ url }, response) => void answer(url, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      reject(new Error(`${host}:${port} cannot be listened on: ${cause.message}. Set BRIDGE_PORT.`, { cause }));
    });
    server.listen(port, host, resolve);
  });
  const { port: actual } = server.address() as AddressInfo;
  return {
    url: `http://${host === "0.0.0.0" ? "127.0.0.1" : host}:${actual}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
