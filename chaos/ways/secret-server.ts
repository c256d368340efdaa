import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A stand-in for Secrets Manager that has one secret. */
export type SecretServer = { endpoint: string; set: (value: string) => void; close: () => Promise<void> };

/** The name by which functions ask for it. */
export const SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:waybill/database";

/** Starts one on loopback. */
export async function startSecretServer(value: string): Promise<SecretServer> {
  let now = value;
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "application/x-amz-json-1.1" });
    response.end(JSON.stringify({ ARN: SECRET_ARN, Name: "waybill/database", SecretString: now }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set: (other) => {
      now = other;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
