import { randomUUID } from "node:crypto";

// W3C Trace Context: version ff and ids of zeros alone are not valid.
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The trace of an HTTP call: what its caller names, where that is a UUID, else the W3C `traceparent` as a UUID, or a new one. */
export function traceOf(traceparent: string | undefined, named = ""): string {
  if (UUID.test(named.toLowerCase())) return named.toLowerCase();
  const id = TRACEPARENT.exec(traceparent?.trim().toLowerCase() ?? "")?.[1];
  if (id === undefined) return randomUUID();
  return `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`;
}
