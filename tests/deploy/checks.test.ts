import { expect, test } from "vitest";
import { checkDatabase } from "../../bin/deploy/checks.ts";
import type { Resolved, Target } from "../../bin/deploy/target.ts";
import { readStage } from "../../deploy/stage.ts";
import { freePort } from "../../localstack/parts/ports.ts";

const OWN = process.env["DATABASE_URL"] ?? "";
const AGAIN = "--stage prod --region eu-central-1";

function target(params: string[] = []): Target {
  return { stage: readStage("prod", params), region: "eu-central-1", params };
}

/** What is told of a database at this address. */
async function told(url: string, { params = [] as string[], ca = "", unreached = false } = {}): Promise<string[]> {
  const texts: Record<string, string> = { databaseUrl: url, databaseCa: ca };
  const resolved: Resolved = { ssm: {}, textOf: (name) => texts[name] ?? "" };
  return await checkDatabase(target(params), resolved, unreached);
}

async function nobodyThere(): Promise<string> {
  const url = new URL(OWN);
  url.port = String(await freePort());
  return url.href;
}

test("a database is told with its host, version, encryption and connections", async () => {
  const { host, pathname } = new URL(OWN);

  expect(await told(OWN)).toEqual([
    expect.stringMatching(
      new RegExp(`^database ${host}${pathname}: PostgreSQL \\d+\\.\\d+, plain text, \\d+ connections$`),
    ),
    "! sslmode=verify-full would encrypt the connection, and check whose it is",
  ]);
});

test("one that is away ends the deploy, and is told with the command that goes on without it", async () => {
  await expect(told(await nobodyThere())).rejects.toThrow(`is not reached from this machine: connect ECONNREFUSED`);
  await expect(told(await nobodyThere())).rejects.toThrow(`npm run deploy -- --unreached ${AGAIN}`);
});

test.each([{ unreached: true }, { params: ["network=vpc", "subnetIds=subnet-1", "securityGroupIds=sg-1"] }])(
  "where only the functions reach it the deploy goes on: %j",
  async (more) => {
    expect((await told(await nobodyThere(), more))[0]).toMatch(
      /not reached from this machine .*; the migrate function will tell$/,
    );
  },
);

test("a server without TLS is refused where TLS is asked for, however far away it may be", async () => {
  const failed = told(`${OWN}?sslmode=verify-full`, { unreached: true });

  await expect(failed).rejects.toThrow("TLS");
  await expect(failed).rejects.toThrow(`Then: npm run deploy -- ${AGAIN}`);
});

test("what may be encrypted is not told to be", async () => {
  expect(await told(`${OWN}?sslmode=prefer`)).toEqual([
    expect.stringContaining("plain text"),
    "! sslmode=prefer encrypts only where the server can, and checks nothing; verify-full does both",
  ]);
});

test("a database that is not there is refused with where the connection string stands", async () => {
  const url = new URL(OWN);
  url.pathname = "/nowhere";

  await expect(told(url.href)).rejects.toThrow(
    /^The database \S+\/nowhere refuses us: database "nowhere" does not exist\. Mend it, or the connection string \{\{resolve:ssm:\/waybill\/prod\/database-url\}\}/,
  );
});
