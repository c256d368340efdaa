import { expect, test } from "vitest";
import { handler } from "../../../functions/system/not-found.ts";
import { call } from "../../support/http/events.ts";

test.each(["/", "/nowhere", "/work/1/2/3", "/works", "/work/", "/work//logs", "/openapi.json/x", "/Health"])(
  "%s is not found, and the answer lists nothing but where to look",
  async (path) => {
    const { status, json } = await call(handler, path);

    expect([status, json.code]).toEqual([404, "not_found"]);
    expect(json.detail).toBe("Nothing has this path. GET /openapi.json lists what there is.");
  },
);

test.each([
  ["DELETE", "/work", "GET, POST"],
  ["PUT", "/work/1", "GET"],
  ["GET", "/work/1/approve", "POST"],
  ["HEAD", "/health", "GET"],
  ["OPTIONS", "/work", "GET, POST"],
])("%s %s is not allowed, and Allow says what is: %s", async (method, path, allow) => {
  const { status, json, headers } = await call(handler, path, { method });

  expect([status, json.code, headers["allow"]]).toEqual([405, "method_not_allowed", allow]);
});

test("a query or a body makes no difference", async () => {
  const { status } = await call(handler, "/nowhere?a=1&a=2&%zz", { method: "POST", raw: "{" });

  expect(status).toBe(404);
});
