import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { isForeign } from "../../../localstack/functions/foreign-pages.ts";
import { listen } from "../../../localstack/functions/http-server.ts";
import { answerUnreadable } from "../../../localstack/functions/unreadable.ts";

test.each([
  [{ host: "127.0.0.1:3000" }],
  [{ host: "localhost:3000" }],
  [{ host: "[::1]:3000" }],
  [{ host: "functions:3000" }],
  [{ host: "agent_1:3000" }],
  [{ host: "host.docker.internal:3000" }],
  [{ host: "host.containers.internal:3000" }],
  // HTTP/1.0: a page's browser always names one.
  [{}],
  [{ host: "127.0.0.1:3000", origin: "http://localhost:5173" }],
  [{ host: "127.0.0.1:3000", origin: "http://127.0.0.1:3000" }],
])("a call of this machine is taken: %j", (headers) => {
  expect(isForeign(headers)).toBe(false);
});

test.each([
  [{ host: "127.0.0.1:3000", origin: "https://evil.example" }],
  [{ host: "127.0.0.1:3000", origin: "null" }],
  [{ host: "127.0.0.1:3000", origin: "http://localhost.evil.example" }],
  [{ host: "evil.example:3000" }],
  [{ host: "mybox.local:3000" }],
  [{ host: "host.docker.internal.evil.example" }],
  [{ host: "evil.docker.internal" }],
  [{ host: "" }],
])("a page of somebody else's is refused: %j", (headers) => {
  expect(isForeign(headers)).toBe(true);
});

/**
 * Sends these bytes, the later ones when something has come back, to a server that answers "whole", or "half" and no more at
 * /half. Answers all that comes back until the connection is closed.
 */
async function sent(first: string, ...later: string[]): Promise<string> {
  // Sooner than Node's minutes, or the slow one would be waited for.
  const soon = { headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 20 };
  const server = createServer(soon, ({ url }, response) => {
    if (url === "/half") response.writeHead(200, { "content-length": 100 }).write("half");
    else if (url !== "/slow") response.end("whole");
  });
  answerUnreadable(server);
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  return await heardOn((server.address() as AddressInfo).port, first, ...later);
}

async function heardOn(port: number, first: string, ...later: string[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  let heard = "";
  socket.on("error", () => {}).on("data", (piece: Buffer) => (heard += piece.toString()));
  socket.write(first);
  for (const bytes of later) {
    await once(socket, "data");
    socket.write(bytes);
  }
  await closed;
  return heard;
}

const get = (path: string, headers = "host: x") => `GET ${path} HTTP/1.1\r\n${headers}\r\n\r\n`;
const chunked = "POST /slow HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";

test.each([
  ["a method that nobody knows", "FOO / HTTP/1.1\r\nhost: x\r\n\r\n", "400 Bad Request", "bad_request"],
  ["no HTTP at all", "hello\r\n\r\n", "400 Bad Request", "bad_request"],
  ["headers over 16 KiB", get("/", `x: ${"x".repeat(20_000)}`), "431 Request Header", "headers_too_large"],
  ["headers without end", `GET / HTTP/1.1\r\nx: ${"x".repeat(20_000)}`, "431 Request Header", "headers_too_large"],
  ["a path over 16 KiB", get(`/${"x".repeat(20_000)}`), "431 Request Header", "headers_too_large"],
  ["chunks with much to say", `${chunked}1;${"x".repeat(20_000)}`, "413 Content Too Large", "body_too_large"],
  ["headers that never end", "GET / HTTP/1.1\r\nhost: x\r\n", "408 Request Timeout", "request_timeout"],
  ["a body that never ends", `${chunked}1\r\n{\r\n`, "408 Request Timeout", "request_timeout"],
  ["CONNECT", "CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n", "405 Method Not Allowed", "method_not_allowed"],
  ["an Expect of its own", get("/", "host: x\r\nexpect: gold"), "417 Expectation Failed", "expectation_failed"],
])("%s is a problem, and the connection is closed", async (_what, bytes, status, code) => {
  const [head = "", body = ""] = (await sent(bytes)).split("\r\n\r\n");

  expect(head).toContain(`HTTP/1.1 ${status}`);
  expect(head).toContain("content-type: application/problem+json");
  expect(head).toContain(`content-length: ${body.length}\r\nconnection: close`);
  const told = { status: Number.parseInt(status, 10), title: expect.stringContaining(status.slice(4)), code };
  expect(JSON.parse(body)).toMatchObject({ ...told, detail: expect.any(String), trace_id: expect.any(String) });
});

test.each([
  ["HTTP/1.1 without Host", "GET / HTTP/1.1\r\nconnection: close\r\n\r\n", 400],
  ["HTTP/1.1 with two", "GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\nconnection: close\r\n\r\n", 400],
  ["HTTP/1.1 with an empty one", "GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n", 403],
  ["HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 200],
  ["HTTP/1.0 with a foreign one", "GET / HTTP/1.0\r\nhost: evil.example\r\n\r\n", 403],
  ["an Expect that is met", "GET / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n", 200],
])("%s is answered as it is to be", async (_what, bytes, status) => {
  const server = await listen(async (_request, _body, response) => void response.end("whole"), 0);
  onTestFinished(async () => await server.stop());

  const heard = await heardOn(Number(new URL(server.url).port), bytes);

  expect(heard.replace("HTTP/1.1 100 Continue\r\n\r\n", "")).toContain(`HTTP/1.1 ${status} `);
  expect(heard).toContain(status === 200 ? "whole" : `"status":${status}`);
});

test("what cannot be read is answered after another answer, never inside of it", async () => {
  expect(await sent(get("/"), "FOO / HTTP/1.1\r\n\r\n")).toMatch(/\r\nwholeHTTP\/1\.1 400 /);
  expect(await sent(get("/half"), "FOO / HTTP/1.1\r\n\r\n")).toMatch(/\r\nhalf$/);
});

test("many short headers are taken as long as they are under 16 KiB together", async () => {
  const server = await listen(
    async ({ rawHeaders }, _body, response) => void response.end(`headers: ${rawHeaders.length / 2}`),
    0,
  );
  onTestFinished(async () => await server.stop());
  const socket = connect({ port: Number(new URL(server.url).port), host: "127.0.0.1" });
  const many = Array.from({ length: 1500 }, (_, n) => `x${n}: 1`);
  let heard = "";
  socket.on("data", (piece: Buffer) => (heard += piece.toString()));

  socket.write(get("/", ["host: x", ...many, "connection: close"].join("\r\n")));
  await once(socket, "end");

  expect(heard).toContain("headers: 1502");
});
