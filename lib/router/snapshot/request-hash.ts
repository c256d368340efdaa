import { createHash } from "node:crypto";
import { canonicalJson } from "../../input/json.ts";
import type { RouteRequest } from "../score/routable.ts";

const REQUEST_FIELDS = [
  "request_text",
  "work_type",
  "to_agent",
  "project_id",
  "hints",
  "parent_agent",
  "capabilities",
  "exclude",
] as const;

/** SHA-256 over all that the score depends on, the same whatever the order of keys; other fields of the request do not count. */
export function requestHash(request: RouteRequest): Buffer {
  const content = Object.fromEntries(REQUEST_FIELDS.map((field) => [field, request[field]]));
  return createHash("sha256").update(canonicalJson(content)).digest();
}

/** A number from 0 to below 1, the same for the same hash and evenly spread over all. */
export function diceOf(hash: Buffer): number {
  return hash.readUInt32BE(0) / 2 ** 32;
}
