import * as z from "zod";
import { Health } from "../health/health.ts";
import type { Route } from "./route.ts";

export const getHealth = {
  method: "GET",
  path: "/health",
  operation: "getHealth",
  summary:
    "Whether the database and the queues answer, and whether every migration is applied; with a key, what else is not right.",
  access: "open",
  tells: { role: "viewer", scope: "work:read" },
  function: "get-health",
  answers: {
    200: { description: "Everything answers", schema: Health },
    503: { description: "Something does not", schema: Health },
  },
} as const satisfies Route;

export const getOpenApi = {
  method: "GET",
  path: "/openapi.json",
  operation: "getOpenApi",
  summary: "This document.",
  access: "open",
  function: "get-openapi",
  answers: { 200: { description: "OpenAPI 3.1", schema: z.looseObject({ openapi: z.string() }) } },
} as const satisfies Route;

/** The calls that are about the system itself. */
export const systemRoutes = [getHealth, getOpenApi] satisfies Route[];
