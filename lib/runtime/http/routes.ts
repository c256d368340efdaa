import * as z from "zod";
import { Health } from "../health/health.ts";
import type { Route } from "./http.ts";

export const getHealth = {
  method: "GET",
  path: "/health",
  operation: "getHealth",
  summary: "Whether the database and the queues answer, and whether every migration is applied.",
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
  answers: { 200: { description: "OpenAPI 3.1", schema: z.looseObject({ openapi: z.string() }) } },
} as const satisfies Route;

/** The calls that are about the system itself. */
export const systemRoutes: Route[] = [getHealth, getOpenApi];

/** Stands for every path and method that no route has. It is in no document. */
export const anyOther = {
  method: "GET",
  path: "/{path}",
  operation: "notFound",
  summary: "Answers 404, or 405 where the path has other methods.",
  query: false,
  answers: { 404: { description: "No such path" }, 405: { description: "No such method" } },
} as const satisfies Route;
