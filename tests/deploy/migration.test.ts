import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { invokeMigrate, migrationStatus } from "../../bin/deploy/migration.ts";
import type { Target } from "../../bin/deploy/target.ts";
import { readStage } from "../../deploy/stage.ts";

const target: Target = { stage: readStage("prod"), region: "eu-central-1", params: [] };
const AGAIN = "npm run deploy -- migrate up --stage prod --region eu-central-1";
afterEach(() => vi.unstubAllEnvs());

type Command = { command: string; to?: string };
type Answer = (command: Command, response: ServerResponse, request: IncomingMessage) => void;

/** A Lambda over a real socket: answers each call of the migrate function, and keeps what was called. */
async function lambda(answer: Answer): Promise<Command[]> {
  const calls: Command[] = [];
  const server = createServer((request, response) => void take(request, response));
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    expect(request.url).toBe("/2015-03-31/functions/waybill-prod-migrate/invocations");
    const command = JSON.parse(await text(request)) as Command;
    calls.push(command);
    answer(command, response, request);
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  vi.stubEnv("AWS_ENDPOINT_URL_LAMBDA", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
  return calls;
}

const status = {
  command: "status",
  applied: [],
  current: "0011_bounds",
  pending: ["0012"],
  faults: [],
  database: "postgres://db:5432/d",
};
const say = (response: ServerResponse, body: object) => void response.end(JSON.stringify(body));
function fail(response: ServerResponse, errorMessage: string): void {
  response.setHeader("x-amz-function-error", "Unhandled");
  say(response, { errorMessage, errorType: "Error" });
}

test("a call that is cut is not made again: it is waited for, and told with where the database stands", {
  timeout: 30_000,
}, async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  let looks = 0;
  const calls = await lambda(({ command }, response, request) => {
    if (command === "status") return say(response, { ...status, running: ++looks < 2 });
    request.socket.destroy();
  });

  await expect(invokeMigrate(target, { command: "up" })).rejects.toThrow(
    `The database db:5432/d is at 0011_bounds; 1 pending. Look at the function's log if that is not what you want (npx serverless logs -f migrate --stage prod --region eu-central-1), or go on with: ${AGAIN}`,
  );
  expect(calls.map(({ command }) => command)).toEqual(["up", "status", "status"]);
});

test("a refusal of Lambda is not tried again either", async () => {
  const calls = await lambda(({ command }, response) => {
    if (command === "status") return say(response, { ...status, running: false });
    response.statusCode = 500;
    say(response, { message: "no" });
  });
  vi.spyOn(console, "log").mockImplementation(() => {});

  await expect(invokeMigrate(target, { command: "down", to: "0011" })).rejects.toThrow("is at 0011_bounds");
  expect(calls.filter(({ command }) => command === "down")).toHaveLength(1);
}, 30_000);

test("a call that Lambda refuses is not waited for: nothing runs", async () => {
  const calls = await lambda((_, response) => {
    response.statusCode = 403;
    response.setHeader("x-amzn-errortype", "AccessDeniedException");
    say(response, { Message: "You may not." });
  });

  await expect(invokeMigrate(target, { command: "up" })).rejects.toThrow("You may not.");
  expect(calls).toHaveLength(1);
});

test("a look that is cut, too, is made again", { timeout: 30_000 }, async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  let looks = 0;
  await lambda(({ command }, response, request) => {
    if (command === "status" && ++looks > 1) return say(response, { ...status, running: false });
    request.socket.destroy();
  });

  await expect(invokeMigrate(target, { command: "up" })).rejects.toThrow("is at 0011_bounds; 1 pending.");
  expect(looks).toBe(2);
});

test("a migration that fails is told with where the database stands and the whole command that goes on", async () => {
  await lambda(({ command }, response) =>
    command === "status" ? say(response, { ...status, running: false }) : fail(response, "0012_x.up.sql:3 failed: no."),
  );

  const failed = invokeMigrate(target, { command: "up" });
  await expect(failed).rejects.toThrow("The migrate function failed: 0012_x.up.sql:3 failed: no.");
  await expect(failed).rejects.toThrow("The database db:5432/d is at 0011_bounds; 1 pending.");
  await expect(failed).rejects.toThrow(
    `Where the database is mended: ${AGAIN}\nWhere a file of migrations/ is, which a deploy brings: npm run deploy -- --stage prod --region eu-central-1`,
  );
  await expect(failed).rejects.not.toThrow("from a machine");
});

test("what outlives the function is told to be run from a machine, under the same lock", async () => {
  await lambda(({ command }, response) =>
    command === "status"
      ? say(response, { ...status, running: true })
      : fail(response, "Task timed out after 900.00 seconds"),
  );

  await expect(invokeMigrate(target, { command: "up" })).rejects.toThrow(
    "is run from a machine that reaches the database, under the same lock: DATABASE_URL=postgres://… npm run migrate",
  );
});

test("a function that cannot say where the database stands is told with its log", async () => {
  await lambda((_, response) => fail(response, "The database did not answer."));

  await expect(migrationStatus(target)).rejects.toThrow(
    "The migrate function failed: The database did not answer.\nIts log: npx serverless logs -f migrate --stage prod --region eu-central-1",
  );
});
