import type { ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { askForKey, replaceFirstKey, takesKeys, tellFirstKey } from "../../bin/deploy/keys.ts";
import type { Target } from "../../bin/deploy/target.ts";
import { readStage } from "../../deploy/stage.ts";
import { handler as giveKey } from "../../functions/access/give-key.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { startAws } from "./aws.ts";

// The function itself answers, behind a Lambda on a real socket.

const db = connect();
const target = (params: string[] = []): Target => ({
  stage: readStage("prod", params),
  region: "eu-central-1",
  params,
});
let said: string[];

beforeEach(async () => {
  said = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void said.push(line));
  await db`delete from users`;
  await db`delete from api_keys`;
  await lambda(async (event, response) => response.end(JSON.stringify(await giveKey(event))));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

async function lambda(answer: (event: unknown, response: ServerResponse) => Promise<unknown>): Promise<void> {
  const aws = await startAws((request, response) => {
    expect(request.url).toBe("/2015-03-31/functions/waybill-prod-give-key/invocations");
    void text(request).then(async (event) => await answer(JSON.parse(event), response));
  });
  for (const [name, value] of Object.entries(aws.env)) vi.stubEnv(name, value);
  onTestFinished(aws.stop);
}

const printed = () => /wb_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}/.exec(said.join("\n"))?.[0];

test("the first owner's key is printed once, and replaced where it is lost", async () => {
  await tellFirstKey(target());
  const first = printed();
  expect(first).toBeDefined();
  expect(said.at(-1)).toBe("  Lost, it is replaced by: npm run deploy -- key --stage prod --region eu-central-1");

  said = [];
  await tellFirstKey(target());
  expect(said).toEqual([]);
  await replaceFirstKey(target());
  expect(printed()).toBeDefined();
  expect(printed()).not.toBe(first);
});

test("a stage whose callers sign has no keys made", async () => {
  const signing = target(["authorization=AWS_IAM"]);

  expect([takesKeys(target()), takesKeys(signing)]).toEqual([true, false]);
  await tellFirstKey(signing);
  expect(said).toEqual([]);
  await expect(replaceFirstKey(signing)).rejects.toThrow("Callers of prod sign their requests: it takes no keys.");
});

test("what the function says where it fails is told with its log", async () => {
  await lambda(async (_event, response) => {
    response.setHeader("x-amz-function-error", "Unhandled");
    response.end(JSON.stringify({ errorMessage: "the database is away" }));
  });

  await expect(askForKey(target(), "smoke")).rejects.toThrow(
    "No key was given: the database is away\nIts log: npx serverless logs -f give-key --stage prod",
  );
});
