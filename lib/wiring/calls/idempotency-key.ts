import { uuidOf } from "../../runtime/ids.ts";

/** The UUID that stands for a call's Idempotency-Key, the same for the same key; undefined where it has none. */
export function keyOf({ "idempotency-key": key }: { "idempotency-key"?: string | undefined }): string | undefined {
  return key === undefined ? undefined : uuidOf(key);
}
