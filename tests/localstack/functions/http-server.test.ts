import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { isForeign } from "../../../localstack/functions/foreign-pages.ts";
import { answerUnreadable } from "../../../localstack/functions/http-server.ts";

test.each([
  [{ host: "127.0.0.1:3000" }],
  [{ host: "localhost:3000" }],
  [{ host: "[::1]:3000" }],
  [{ host: "functions:3000" }],
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
  [{}],
])("a page of somebody else's is refused: %j", (headers) => {
  expect(isForeign(headers)).toBe(true);
});

/**
 * Sends these bytes, the later ones when something has come back, to a server that answers "whole", or "half" and no more at
 * /half. Answers all that comes back until the connection is closed.
 */
async function sent(first: string, ...later: string[]): Promise<string> {
  const server = createServer(({ url }, response) => {
    if (url === "/half") response.writeHead(200, { "content-length": 100 }).write("half");
    else response.end("whole");
  });
  answerUnreadable(server);
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
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

test.each([
  ["a method that nobody knows", "FOO / HTTP/1.1\r\nhost: x\r\n\r\n"],
  ["no HTTP at all", "hello\r\n\r\n"],
  ["headers without end", `GET / HTTP/1.1\r\nx: ${"x".repeat(20_000)}`],
])("%s is a problem, and the connection is closed", async (_what, bytes) => {
  const [head = "", body = ""] = (await sent(bytes)).split("\r\n\r\n");

  expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json\r\n/);
  expect(head).toContain(`content-length: ${body.length}\r\nconnection: close`);
  expect(JSON.parse(body)).toMatchObject({ status: 400, code: "bad_request", detail: expect.any(String) });
});

test("what cannot be read is answered after another answer, never inside of it", async () => {
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;

  expect(await sent(get("/"), "FOO / HTTP/1.1\r\n\r\n")).toMatch(/\r\nwholeHTTP\/1\.1 400 /);
  expect(await sent(get("/half"), "FOO / HTTP/1.1\r\n\r\n")).toMatch(/\r\nhalf$/);
});
