import { expect, test, vi } from "vitest";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { tryPort } from "../../localstack/parts/ports.ts";
import { eventOf, seen } from "../support/http/http-event.ts";

vi.stubEnv("AWS_ENDPOINT_URL_SQS", `http://127.0.0.1:${await tryPort(0)}`);
const { handler } = await import("../../functions/agents/manage-agent.ts");

test("while SQS is away an agent that needs a queue is not stored: the same call is sent again", async () => {
  const db = connect();
  const event = eventOf({
    method: "PUT",
    rawPath: "/agents/anna",
    pathParameters: { name: "anna" },
    body: "name: anna",
  });

  const { status, json } = seen(await handler(event));

  expect([status, json.code]).toEqual([503, "unavailable"]);
  expect([...(await db`select from agent_definitions where agent_name = 'anna'`)]).toEqual([]);
  await db.end();
});
