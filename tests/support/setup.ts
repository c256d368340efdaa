import { afterAll } from "vitest";
import { SIGNING_SECRET } from "./agents/keys.ts";
import { borrow } from "./borrow.ts";

// Runs before each test file is imported: a database and queues of its own, named by the environment, so that
// everything the file imports simply works.
const place = JSON.parse(await borrow("POST", "place")) as { DATABASE_URL: string };
Object.assign(process.env, place, { SIGNING_SECRET });

afterAll(async () => {
  await borrow("DELETE", "place", place.DATABASE_URL);
});
