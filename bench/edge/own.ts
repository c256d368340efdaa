import * as z from "zod";
import { apiGateway } from "../../lib/runtime/http/lambda.ts";
import type { Route } from "../../lib/runtime/http/route.ts";
import { json, serve } from "../../lib/runtime/http/serve.ts";

const hello = {
  method: "GET",
  path: "/hello/{name}",
  operation: "hello",
  summary: "Greets.",
  access: { role: "viewer", scope: "work:read" },
  function: "hello",
  params: z.strictObject({ name: z.string() }),
  answers: { 200: { description: "A greeting" } },
} as const satisfies Route;

/** The edge of lib/runtime/http: parses by zod, and has trace, log and problem+json. */
export const handler = apiGateway(
  serve([json(hello, async ({ params }) => ({ status: 200, body: { hello: params.name } }))]),
);
