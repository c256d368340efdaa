import { randomUUID } from "node:crypto";

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The trace of an HTTP call: the caller's W3C `traceparent` as a UUID, or a new one. */
export function traceOf(traceparent: string | undefined): string {
  const id = TRACEPARENT.exec(traceparent?.toLowerCase() ?? "")?.[1];
  if (id === undefined || /^0+$/.test(id)) return randomUUID();
  return `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`;
}
