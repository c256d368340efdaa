import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

/** A server in AWS's place: the variables by which the SDK finds it, and the end of it. */
export type Aws = { env: Record<string, string>; stop: () => void };

/** Starts one that answers every call of every service by `listener`. */
export async function startAws(listener: RequestListener): Promise<Aws> {
  const server = createServer(listener);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    env: {
      AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
