import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { checkConcurrency, checkDatabase, tellAuthorization } from "../../bin/deploy/checks.ts";
import { type Resolved, resolve, type Target } from "../../bin/deploy/target.ts";
import { readStage } from "../../deploy/stage.ts";
import { freePort } from "../../localstack/parts/ports.ts";
import { type Aws, startAws } from "./aws.ts";

const OWN = process.env["DATABASE_URL"] ?? "";
const AGAIN = "--stage prod --region eu-central-1";

const SECRET = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:waybill/prod/database-AbCdEf";

/** What the AWS of these tests answers each call; the real client keeps its first address. */
let answer: { status: number; body: object } = { status: 500, body: {} };
let aws: Aws;
beforeAll(async () => {
  aws = await startAws((_, response) => {
    response.writeHead(answer.status, { "content-type": "application/x-amz-json-1.1" });
    response.end(JSON.stringify(answer.body));
  });
  for (const [name, value] of Object.entries(aws.env)) vi.stubEnv(name, value);
});
afterAll(() => {
  vi.unstubAllEnvs();
  aws.stop();
});

function target(params: string[] = []): Target {
  return { stage: readStage("prod", params), region: "eu-central-1", params };
}

/** What is told of a database at this address. */
async function told(
  url: string,
  { params = [] as string[], ca = "", unreached = false, secret = "" } = {},
): Promise<string[]> {
  const texts: Record<string, string> = { databaseUrl: url, databaseCa: ca, databaseSecretArn: secret };
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

/** The command that stores another password, and goes on. */
const STORE = `aws secretsmanager put-secret-value --region eu-central-1 --secret-id ${SECRET} --secret-string … && npm run deploy -- ${AGAIN}`;

test("a secret that is gone is told with the commands that make another, for --create-secrets keeps its parameter", async () => {
  answer = { status: 400, body: { __type: "ResourceNotFoundException", message: "Not found." } };

  await expect(told(OWN, { secret: SECRET })).rejects.toThrow(
    `There is no secret ${SECRET}. Have one made, and /waybill/prod/database-secret-arn with it: ` +
      `aws ssm delete-parameter --region eu-central-1 --name /waybill/prod/database-secret-arn && npm run deploy -- --create-secrets ${AGAIN}`,
  );
  await expect(told(OWN, { secret: SECRET, params: [`databaseSecretArn=${SECRET}`] })).rejects.toThrow(
    "Say the ARN of one that is there as databaseSecretArn in deploy/stages/prod.yml, then: npm run deploy",
  );
});

test.each([
  [
    "InvalidRequestException",
    "marked for deletion",
    `If it is being deleted, have it back: aws secretsmanager restore-secret --region eu-central-1 --secret-id ${SECRET} && npm run deploy -- ${AGAIN}`,
  ],
  ["AccessDeniedException", "not authorized", `Mend that, then: npm run deploy -- ${AGAIN}`],
])(
  "a secret that AWS refuses with %s is told with why, and nobody is told to overwrite it",
  async (type, why, todo) => {
    answer = { status: 400, body: { __type: type, message: why } };

    const failed = told(OWN, { secret: SECRET });
    await expect(failed).rejects.toThrow(why);
    await expect(failed).rejects.toThrow(todo);
    await expect(failed).rejects.not.toThrow("put-secret-value");
  },
);

test.each([
  ["binary", { SecretBinary: "c2VzYW1l" }, "has no text"],
  ["JSON without a password", { SecretString: '{"username":"waybill"}' }, "password"],
  ["half of JSON", { SecretString: '{"password":' }, "JSON"],
])("a secret that is %s is told with what is wrong and the command that stores another", async (_, body, why) => {
  answer = { status: 200, body };

  const failed = told(OWN, { secret: SECRET });
  await expect(failed).rejects.toThrow(why);
  await expect(failed).rejects.toThrow(`Store the right one: ${STORE}`);
});

test.each([
  [1000, "Lambda: 1000 functions at once"],
  [10, "! Lambda: only 10 functions at once, of which dispatch, results and the sweep take 8."],
])("an account that runs %i functions at once is told", async (most, expected) => {
  answer = { status: 200, body: { AccountLimit: { UnreservedConcurrentExecutions: most } } };

  const [said] = await checkConcurrency(target());
  expect(said).toContain(expected);
  expect(said?.includes("aws service-quotas request-service-quota-increase --region eu-central-1")).toBe(most < 100);
});

test("who may not ask Lambda for its limits is told so, and deploys", async () => {
  answer = { status: 403, body: { __type: "AccessDeniedException", message: "No." } };

  expect(await checkConcurrency(target())).toEqual([expect.stringContaining("lambda:GetAccountSettings")]);
});

test("a version of an SSM parameter that is not there is told with the command that lists them", async () => {
  answer = { status: 200, body: { Parameters: [] } };
  const versioned = { ...target().stage, said: { databaseUrl: "{{resolve:ssm:/x/url:7}}", databaseSecretArn: SECRET } };

  await expect(resolve({ ...target(), stage: versioned })).rejects.toThrow(
    "  version 7 of /x/url; those that there are: aws ssm get-parameter-history --region eu-central-1 --name /x/url --query Parameters[].Version",
  );
});

test("who may call is told", () => {
  expect(tellAuthorization(target())).toEqual([expect.stringMatching(/^callers: who shows a key/)]);
  expect(tellAuthorization(target(["authorization=AWS_IAM"]))).toEqual([expect.stringMatching(/^callers: who signs/)]);
});

test("a database that is not there is refused with where the connection string stands", async () => {
  const url = new URL(OWN);
  url.pathname = "/nowhere";

  await expect(told(url.href)).rejects.toThrow(
    /^The database \S+\/nowhere refuses us: database "nowhere" does not exist\. Mend it, or the connection string \{\{resolve:ssm:\/waybill\/prod\/database-url\}\}/,
  );
});
