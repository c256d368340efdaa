import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../localstack/parts/ports.ts";
import { ownerOf, type Started, startStack, temporaryDir } from "../support/stack/stack.ts";

const dir = temporaryDir();
let stack: Started;

beforeAll(async () => {
  stack = await startStack({ dataDir: dir.path });
}, 90_000);

afterAll(async () => {
  // Not there where it did not start.
  await (stack as Started | undefined)?.stop();
  dir.remove();
}, 30_000);

/** What `npm run demo -- ARGUMENTS` runs. */
async function demo(...args: string[]) {
  const env = { ...process.env, WAYBILL_DATA: dir.path };
  const stdio = ["ignore", "pipe", "pipe"] as const;
  const child = spawn(process.execPath, ["localstack/demo/main.ts", ...args], { env, stdio: [...stdio] });
  const exited = new Promise<number | null>((done) => child.once("close", done));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { out, err, code };
}

test("the demonstration runs against a stack that already runs, and leaves it running", async () => {
  // As a person writes it, with a name and a slash at the end.
  const { out, err, code } = await demo("--against", `http://localhost:${stack.port}/`);

  expect([err, code]).toEqual(["", 0]);
  expect(out.match(/✓ /g)).toHaveLength(5);
  expect(out).toContain("✓ Everything as it should be.");
  expect(out).not.toContain("Starting Postgres");
  const { items } = (await (await fetch(`${stack.url}/work`, { headers: ownerOf(stack) })).json()) as {
    items: { created_by: string }[];
  };
  expect(items.map(({ created_by }) => created_by)).toEqual(["owner", "owner", "owner", "owner"]);
}, 130_000);

test("where nothing answers it says what to start", async () => {
  const url = `http://127.0.0.1:${await freePort()}`;

  const { err, code } = await demo("--against", url);

  expect(code).toBe(1);
  expect(err).toContain(`${url} does not answer. Start a stack: npm start`);
});

test.each(["ftp://host", "nonsense", ""])("an address that is none is refused: %j", async (address) => {
  const { err, code } = await demo(`--against=${address}`);

  expect(code).toBe(2);
  expect(err).toContain("Usage: npm run demo -- [--against URL]");
});
