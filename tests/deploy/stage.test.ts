import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { parse } from "yaml";
import { envExample } from "../../bin/generate/settings.ts";
import { environmentOf, parameterOf, parameters } from "../../deploy/parameters.ts";
import { departures, faultsOfCa, faultsOfUrl, readStage, valueOf } from "../../deploy/stage.ts";

const folder = mkdtempSync(join(tmpdir(), "waybill-stages-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A stage whose file has this text. */
function stage(text: string, params: string[] = []) {
  writeFileSync(join(folder, "prod.yml"), text);
  return readStage("prod", params, folder);
}

test("a stage is what its file says, and over it what the command line does", () => {
  const { said, hasFile } = stage("leaseSeconds: 90\nalarmEmail: ops@example.com\nsubnetIds: [subnet-1, subnet-2]\n", [
    "leaseSeconds=120",
  ]);

  expect([said, hasFile]).toEqual([
    { leaseSeconds: "120", alarmEmail: "ops@example.com", subnetIds: "subnet-1,subnet-2" },
    true,
  ]);
});

test.each(["../prod", "example", "", "a b", "a_b", "-a", "a.b", "$(id)", "s".repeat(33)])(
  "no stage is named %j",
  (name) => {
    expect(() => readStage(name, [], folder)).toThrow(`No stage can be named ${JSON.stringify(name)}`);
  },
);

test("a connection string has a word of libpq for its encryption", () => {
  expect(faultsOfUrl("postgres://u@db.example/d?sslmode=verify_full")).toEqual([
    expect.stringContaining("has sslmode=verify_full, which must be one of disable, allow,"),
  ]);
  expect(faultsOfUrl("postgres://u@db.example/d?sslmode=verify-full")).toEqual([]);
});

test("a stage without a file is the defaults", () => {
  const other = readStage("other", [], folder);

  expect([other.said, other.hasFile]).toEqual([{}, false]);
  expect(valueOf(other, "prefix")).toBe("waybill-other");
  expect(valueOf(other, "databaseUrl")).toBe("{{resolve:ssm:/waybill/other/database-url}}");
  expect(valueOf(other, "leaseSeconds")).toBeUndefined();
});

test.each([
  ["leaseSecond: 90", "prod.yml:1:1: leaseSecond cannot be set. Did you mean leaseSeconds?"],
  ["LEASE_SECONDS: 90", "Did you mean leaseSeconds?"],
  ["alarmMail: a@b.example", "Did you mean alarmEmail?"],
  ["xyzzy: 1", /xyzzy cannot be set\. deploy\/stages\/example\.yml has everything/],
  ["anthropicApiKey: sk-1", "is a secret, and belongs into Secrets Manager"],
  ["logRetentionDays: 31", "logRetentionDays must be one of"],
  ["leaseSeconds: 0", "leaseSeconds must be a whole number from 1 to 3600"],
  ["leaseSeconds: {a: 1}", "leaseSeconds must be one value"],
  ["approvalRequired: [infra.*, code.*]", 'must be one value, not a list; write approvalRequired: "infra.*,code.*"'],
  ["authorization: aws_iam", "authorization must be KEYS or AWS_IAM"],
  ["authorization: NONE", "NONE is no more: leave it out, and have a key made for each caller"],
  ["network: private", 'network must be one of "public", "vpc"'],
  ["network: vpc", "network: vpc needs subnetIds, such as subnetIds: subnet-1,subnet-2"],
  ["network: vpc\nsubnetIds: subnet-1", "network: vpc needs securityGroupIds"],
  ["network: vpc\nsubnetIds: vpc-1\nsecurityGroupIds: sg-1", "subnetIds must be subnet-…"],
  ["deletionProtection: yes please", "deletionProtection must be one of"],
  ["prefix: a b", "prefix must be 1 to 40 letters"],
  ["routerWeights: 1,2", "routerWeights must"],
  ["databaseUrl: postgres://u:p@db.example/d?sslmode=verify-full", "carries a password"],
  ["databaseUrl: postgres://u@db.example/d", "add ?sslmode=verify-full"],
  ["- a", "must be lines of name: value"],
  ["a: [", /prod\.yml:\d+:\d+: it /],
  ["leaseSeconds: 1\nleaseSeconds: 2", /prod\.yml:2/],
])("%j is refused", (text, message) => {
  expect(() => stage(text)).toThrow(message);
});

test("a CA beside a connection that is not encrypted is refused", () => {
  const plain = ["postgres://u@127.0.0.1/d", "postgres://u@h/d?sslmode=disable", "postgres://u@h/d?a=1&sslmode=prefer"];

  for (const url of plain) expect(faultsOfCa(url, "ca.pem")).toEqual([expect.stringContaining("checks nothing")]);
  expect(faultsOfCa("postgres://u@h/d?sslmode=verify-full", "ca.pem")).toEqual([]);
  expect(faultsOfCa("postgres://u@h/d?sslmode=disable", "")).toEqual([]);
});

test("everything that is wrong is told at once", () => {
  expect(() => stage("leaseSecond: 90\nnetwork: x\n", ["nonsense=1"])).toThrow(
    /leaseSecond cannot[^]*network must[^]*--param: nonsense cannot be set/,
  );
});

test("an empty value is said in the file: the framework's command line takes none", () => {
  expect(stage('alarmEmail: ""').said).toEqual({ alarmEmail: "" });
  expect(() => stage("", ["alarmEmail="])).toThrow(`write it into the stage's file: alarmEmail: ""`);
});

test("a deploy must say again what departs from the defaults", () => {
  const { said } = stage("authorization: KEYS\nleaseSeconds: 90\n", [
    "databaseUrl={{resolve:ssm:/waybill/prod/database-url:7}}",
  ]);

  expect(departures({ name: "prod", said })).toEqual({
    leaseSeconds: "90",
    databaseUrl: "{{resolve:ssm:/waybill/prod/database-url:7}}",
  });
});

test("what was taken back by saying nothing need not be said for ever", () => {
  expect(departures({ name: "prod", said: { approvalRequired: "", alarmEmail: "" } })).toEqual({});
});

test("every variable of .env.example that functions read can be set, or is given by the deployment", () => {
  const section = /# --- (database|queues|handling of work|router) \(functions/;
  const ofFunctions = envExample()
    .split("\n\n")
    .filter((part) => section.test(part))
    .flatMap((part) => [...part.matchAll(/^#([A-Z_]+)=/gm)].map(([, env = ""]) => env));
  const ofMigrate = ["MIGRATIONS_DIR", "AGENTS_DIR"];

  expect(ofFunctions.length).toBeGreaterThan(25);
  expect(ofFunctions.filter((env) => !(env in environmentOf())).toSorted()).toEqual(ofMigrate.toSorted());
  const named = parameters.filter(({ env }) => env !== undefined && env !== "AGENT_QUEUE_PREFIX");
  expect(named.map(({ name }) => name)).toEqual(named.map(({ env = "" }) => parameterOf(env)));
});

test("the stages that ship are taken, and the example is everything with its default", () => {
  expect(readStage("dev").said).toEqual({ prefix: "waybill" });
  const uncommented = readFileSync("deploy/stages/example.yml", "utf8").replaceAll(/^#(\w+: )/gm, "$1");
  const all = parse(uncommented) as Record<string, string>;

  expect(Object.keys(all)).toEqual(parameters.map(({ name }) => name));
  const { said } = stage(uncommented.replaceAll("NAME", "prod"));
  const ofTheCode = parameters.filter(({ default: usual, otherwise }) => usual === undefined && otherwise);
  expect(departures({ name: "prod", said })).toEqual(
    Object.fromEntries(ofTheCode.map(({ name }) => [name, said[name]])),
  );
});
