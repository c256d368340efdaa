import { afterAll, afterEach, expect, test } from "vitest";
import { handler as submitWork } from "../../../functions/work/submit-work.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { call } from "../../support/http/events.ts";

// A database that takes no writes, as after a failover: its sessions say so until they are opened anew.

const db = connect();
const name = new URL(process.env["DATABASE_URL"] ?? "").pathname.slice(1);
/** Sets, or resets, what its sessions are opened with; it takes no writes itself meanwhile, unless it is told to. */
const alter = async (how: string) =>
  await db.begin("read write", async (tx) => await tx.unsafe(`alter database "${name}" ${how}`));
const body = { request_text: "do it", work_type: "code.run" };
const submit = async () => await call(submitWork, "/work", { body });

afterEach(async () => {
  await alter("reset default_transaction_read_only");
});
afterAll(async () => {
  await db.end();
});

test("a change is 503 with Retry-After, and is done as soon as the database takes writes again", async () => {
  await alter("set default_transaction_read_only = on");
  const during = await submit();
  await alter("reset default_transaction_read_only");
  const after = await submit();

  expect([during.status, during.json.code, during.headers["retry-after"]]).toEqual([503, "unavailable", "1"]);
  expect(after.json.status).toBe("approved");
});
