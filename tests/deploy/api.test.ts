import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, expect, test, vi } from "vitest";
import { apiOf } from "../../bin/deploy/api.ts";
import type { Target } from "../../bin/deploy/target.ts";
import { readStage } from "../../deploy/stage.ts";

const server = createServer((request, response) => void echo(request, response));
afterAll(() => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
});

test("a body goes with every method, and is not read as the next request of its connection", async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  vi.stubEnv("WAYBILL_API_URL", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const stage = readStage("open", ["authorization=KEYS"]);
  const target: Target = { stage, region: "eu-central-1", params: [] };
  const api = apiOf(target, {
    name: "waybill-open",
    status: "CREATE_COMPLETE",
    protected: false,
    updated: 0,
    outputs: {},
  });

  const said: unknown[] = [];
  for (const method of ["DELETE", "POST", "DELETE", "GET"]) {
    const { status, json } = await api(method, "/x", method === "GET" ? undefined : { a: "é" });
    said.push([status, json.detail]);
  }
  expect(said).toEqual([
    [200, 'DELETE {"a":"é"}'],
    [200, 'POST {"a":"é"}'],
    [200, 'DELETE {"a":"é"}'],
    [200, "GET "],
  ]);
});

async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(request);
  response.end(JSON.stringify({ detail: `${request.method} ${body}` }));
}
