import { expect, test } from "vitest";
import { isForeign } from "../../localstack/gateway.ts";

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
