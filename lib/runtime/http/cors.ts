import * as z from "zod";
import { setting } from "../settings.ts";
import { METHODS } from "./route.ts";
import type { Fetch } from "./serve.ts";
import { partsOfRequest, partsOfResponse, responseOf } from "./web.ts";

const ORIGIN = /^https?:\/\/[a-z0-9.-]+(:\d{1,5})?$/;

/** What the edge is told of pages in browsers. */
export const corsSettings = {
  origins: setting({
    env: "CORS_ORIGINS",
    takes: z
      .string()
      .transform((text) => text.split(",").map((origin) => origin.trim()))
      .refine((origins) => origins.every((origin) => ORIGIN.test(origin)), {
        error: "must be origins with commas between them, such as https://console.example.com; there is no *",
      }),
    optional: true,
    example: "https://console.example.com",
    says: "The origins whose pages may call the API from a browser, with commas between them. A page of the API's own origin needs none.",
  }),
};

/** What a page may read of an answer beside its body. */
const EXPOSED =
  "accept-ranges, content-range, idempotent-replayed, location, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-next-cursor, x-output-missing, x-trace-id";

/** Lets pages of these origins call: answers what their browsers ask before, and says of each answer that the page may have it. */
export function withCors(origins: readonly string[] | undefined, fetch: Fetch): Fetch {
  if (origins === undefined) return fetch;
  return async (request, around) => {
    const { method, headers: given } = await partsOfRequest(request);
    const { origin = "" } = given;
    const allowed = { "access-control-allow-origin": origin, vary: "origin" };
    if (!origins.includes(origin)) return await fetch(request, around);
    if (method === "OPTIONS" && given["access-control-request-method"] !== undefined) {
      const headers = {
        ...allowed,
        "access-control-allow-methods": METHODS.join(", "),
        "access-control-allow-headers": given["access-control-request-headers"] ?? "authorization",
        "access-control-max-age": "600",
      };
      return responseOf({ status: 204, headers, body: "" });
    }
    const answer = partsOfResponse(await fetch(request, around));
    const headers = { ...answer.headers, ...allowed, "access-control-expose-headers": EXPOSED };
    return responseOf({ ...answer, headers });
  };
}
