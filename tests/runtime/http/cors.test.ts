import type { APIGatewayProxyEventV2 } from "aws-lambda";
import { expect, test } from "vitest";
import { corsSettings, withCors } from "../../../lib/runtime/http/cors.ts";
import { apiGateway } from "../../../lib/runtime/http/lambda.ts";
import { json, serve } from "../../../lib/runtime/http/serve.ts";
import { readSettings } from "../../../lib/runtime/settings.ts";
import { eventOf, seen } from "../../support/http/http-event.ts";

const thing = {
  method: "GET",
  path: "/things/1",
  operation: "getThing",
  summary: "A thing.",
  access: "open",
  function: "get-thing",
  answers: { 200: { description: "It" } },
} as const;
const things = serve([json(thing, async () => ({ status: 200, body: { n: 1 } }))]);
const ask = async (origins: string[] | undefined, parts: Partial<APIGatewayProxyEventV2> & { method?: string }) =>
  seen(await apiGateway(withCors(origins, things))(eventOf(parts)));
const HERE = "https://console.example.com";

test("a page of an origin that is let in may read the answer, and a mistake in the same way", async () => {
  const answer = await ask([HERE], { headers: { Origin: HERE } });
  const lost = await ask([HERE], { headers: { origin: HERE }, rawPath: "/nothing" });

  expect([answer.status, answer.json]).toEqual([200, { n: 1 }]);
  for (const { headers } of [answer, lost]) {
    expect(headers).toMatchObject({ "access-control-allow-origin": HERE, vary: "origin" });
    expect(headers["access-control-expose-headers"]).toContain("retry-after");
    expect(headers["access-control-allow-credentials"]).toBeUndefined();
  }
  expect(lost.status).toBe(404);
});

test("what a browser asks before is answered for that origin, whatever the path", async () => {
  const headers = {
    origin: HERE,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "authorization, content-type",
  };

  expect(await ask([HERE], { method: "OPTIONS", headers })).toMatchObject({
    status: 204,
    headers: {
      "access-control-allow-origin": HERE,
      "access-control-allow-methods": expect.stringContaining("PUT"),
      "access-control-allow-headers": "authorization, content-type",
    },
  });
});

test.each([
  ["none is let in", undefined, HERE],
  ["it is another", [HERE], "https://evil.example"],
  ["it only begins so", [HERE], `${HERE}.evil.example`],
  ["it is another scheme", [HERE], "http://console.example.com"],
  ["there is none", [HERE], undefined],
])("where %s nothing is said of origins, and nothing is allowed before", async (_why, origins, origin) => {
  const headers = origin === undefined ? {} : { origin };

  const answer = await ask(origins, { headers });
  const before = await ask(origins, {
    method: "OPTIONS",
    headers: { ...headers, "access-control-request-method": "GET" },
  });

  for (const told of [answer.headers, before.headers])
    expect(Object.keys(told).filter((name) => name.startsWith("access-control"))).toEqual([]);
  expect(before.status).toBe(405);
});

test("origins are read from the environment, one by one, and never all", () => {
  const read = (CORS_ORIGINS: string) => readSettings(corsSettings, { CORS_ORIGINS }).origins;

  expect(read(`${HERE}, http://localhost:5173`)).toEqual([HERE, "http://localhost:5173"]);
  expect(readSettings(corsSettings, {}).origins).toBeUndefined();
  for (const wrong of ["*", "null", "https://a.example/", "console.example.com"])
    expect(() => read(wrong)).toThrow("CORS_ORIGINS");
});
