import { once } from "node:events";
import { createServer, type IncomingMessage, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import { expect, onTestFinished, test } from "vitest";
import { eventOf, replyOf, targetOf } from "../../../localstack/functions/events.ts";

/** The event that a server makes of what this client sends. */
async function eventFor(path: string, headers: Record<string, string | string[]> = {}, body?: Buffer, params = {}) {
  const made = Promise.withResolvers<APIGatewayProxyEventV2>();
  const answer = async (request: IncomingMessage) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    made.resolve(eventOf(request, Buffer.concat(parts), { routeKey: "POST /x/{id}", params }));
  };
  const server = createServer((request, response) => void answer(request).then(() => response.end()));
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  send({ host: "127.0.0.1", port, path, method: "POST", headers }, (response) => response.resume()).end(body);
  return await made.promise;
}

test("an event is what API Gateway makes of a request in payload format 2.0", async () => {
  const headers = { "X-Twice": ["a", "b"], cookie: "one=1; two=2", "user-agent": "test" };
  const event = await eventFor("/x/a%20b?tag=x&tag=y%2Cz&q=a+b", headers, Buffer.from("héllo"), { id: "a b" });

  expect(event).toMatchObject({
    version: "2.0",
    routeKey: "POST /x/{id}",
    rawPath: "/x/a%20b",
    rawQueryString: "tag=x&tag=y%2Cz&q=a+b",
    queryStringParameters: { tag: "x,y,z", q: "a b" },
    pathParameters: { id: "a b" },
    cookies: ["one=1", "two=2"],
    headers: { "x-twice": "a,b", "user-agent": "test" },
    body: "héllo",
    isBase64Encoded: false,
    requestContext: {
      http: { method: "POST", path: "/x/a%20b", protocol: "HTTP/1.1", sourceIp: "127.0.0.1", userAgent: "test" },
      routeKey: "POST /x/{id}",
      stage: "$default",
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      time: expect.stringMatching(/^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/),
      timeEpoch: expect.any(Number),
    },
  });
  expect(event.headers).not.toHaveProperty("cookie");
});

test("a parameter may have the name of what every object has", async () => {
  const event = await eventFor("/x/1?constructor=1&toString=2&__proto__=3&valueOf=4&valueOf=5");

  const told = Object.entries(event.queryStringParameters ?? {});
  expect(told).toEqual([
    ["constructor", "1"],
    ["toString", "2"],
    ["__proto__", "3"],
    ["valueOf", "4,5"],
  ]);
});

test("what a request does not have is not in its event, and bytes that are no text are in base64", async () => {
  const bare = await eventFor("/x/1");
  const bytes = await eventFor("/x/1", {}, Buffer.from([0xff, 0x00]));

  for (const name of ["body", "cookies", "queryStringParameters", "pathParameters"])
    expect(bare).not.toHaveProperty(name);
  expect(bare).toMatchObject({ rawQueryString: "", isBase64Encoded: false });
  expect(bytes).toMatchObject({ body: "/wA=", isBase64Encoded: true });
});

test.each([
  ["//twice?a=1", { path: "//twice", query: "a=1" }],
  ["http://127.0.0.1:3000/absolute?a?b", { path: "/absolute", query: "a?b" }],
])("the target %s is taken apart", (url, target) => {
  expect(targetOf({ url })).toEqual(target);
});

test.each(["*", "/%ZZ", ""])("the target %j is no path", (url) => {
  expect(() => targetOf({ url })).toThrow("its path or a header cannot be read");
});

test("a result is answered with its cookies and its bytes; one without a status is none", () => {
  const result = { statusCode: 201, headers: { "x-number": 7 }, cookies: ["a=1"], body: "/wA=", isBase64Encoded: true };

  expect(replyOf(result)).toEqual({
    status: 201,
    headers: { "x-number": "7", "set-cookie": ["a=1"] },
    body: Buffer.from([0xff, 0x00]),
  });
  expect(() => replyOf(undefined)).toThrow("no statusCode");
});
