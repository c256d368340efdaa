import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { ours, type Target } from "../../bin/deploy/target.ts";
import { needUpdatable, standsAfter } from "../../bin/deploy/up.ts";
import { readStage } from "../../deploy/stage.ts";
import { startAws } from "./aws.ts";

/** Runs the command with credentials of nobody. */
function run(...args: string[]) {
  const env = { PATH: process.env["PATH"], HOME: "/nonexistent", AWS_EC2_METADATA_DISABLED: "true" };
  return spawnSync(process.execPath, ["bin/deploy/main.ts", ...args], { encoding: "utf8", env });
}

const WHERE = ["--stage", "prod", "--region", "eu-central-1"];

/** Runs the command on an AWS that answers so. */
async function runOn(listener: RequestListener, ...args: string[]) {
  const aws = await startAws(listener);
  onTestFinished(aws.stop);
  const child = spawn(process.execPath, ["bin/deploy/main.ts", ...args, ...WHERE], {
    env: { PATH: process.env["PATH"], ...aws.env },
  });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { stdout, stderr, code: code as unknown };
}

test("--dry-run prints the commands in their order, whole, and needs no credentials", () => {
  const { status, stdout } = run(...WHERE, "--param", "alarmEmail=a@b.example", "--dry-run");

  expect(status).toBe(0);
  expect(stdout.trimEnd().split("\n")).toEqual([
    "serverless package --stage prod --region eu-central-1 --param alarmEmail=a@b.example",
    "serverless deploy --package .serverless --stage prod --region eu-central-1 --param alarmEmail=a@b.example",
    "npm run deploy -- migrate up --stage prod --region eu-central-1 --param alarmEmail=a@b.example",
    "npm run deploy -- smoke --stage prod --region eu-central-1 --param alarmEmail=a@b.example",
  ]);
});

test.each([
  [["--region", "eu-central-1"], 2, "Which stage?"],
  [["--stage", "prod"], 2, "Which region?"],
  [[...WHERE, "--param", "x"], 2, "--param x is not name=value"],
  [[...WHERE, "--param", "nonsense=1"], 2, "--param: nonsense cannot be set."],
  [[...WHERE, "--param", "alarmMail=a@b.example"], 2, "Did you mean alarmEmail?"],
  [[...WHERE, "--param", "databaseUrl=postgres://u:p@h/d"], 2, "carries a password"],
  [[...WHERE, "--param", "databaseUrl=mysql://u@h/d"], 2, "must start with postgres://"],
  [[...WHERE, "--force"], 2, "Unknown option '--force'"],
  [["upp", ...WHERE], 2, "There is no command upp."],
  [["--stage", "../prod", "--region", "eu-central-1"], 2, 'No stage can be named "../prod"'],
  [["plan", "now", ...WHERE], 2, "not also now"],
  [["migrate", "down", ...WHERE], 2, "down wants --to TARGET"],
  [["migrate", "redo", "--yes", ...WHERE], 2, "redo wants --to TARGET"],
  [["migrate", "sql", ...WHERE], 2, "npm run migrate -- sql"],
  [["migrate", "sideways", ...WHERE], 2, "command must be one of"],
  [["--to", "1764500000000", ...WHERE], 2, "up takes no --to."],
  [["remove", "--dry-run", ...WHERE], 2, "remove takes no --dry-run."],
  [["smoke", "--create-secrets", ...WHERE], 2, "smoke takes no --create-secrets."],
  [["--stage", "a/b", "--region", "eu-central-1"], 2, 'No stage can be named "a/b"'],
  [["--stage", "new_x", "--region", "eu-central-1"], 2, 'No stage can be named "new_x"'],
  [WHERE, 1, "No AWS credentials were found"],
  [["rollback", ...WHERE], 1, "No AWS credentials were found"],
  [["remove", ...WHERE], 1, "No AWS credentials were found"],
])("%j is refused with %i and what is missing", (args, exit, message) => {
  const { status, stdout, stderr } = run(...args);

  expect(stderr).toContain(message);
  expect({ status, stdout }).toEqual({ status: exit, stdout: "" });
});

test("what AWS refuses is told in words, with the command that goes on", async () => {
  const refuse: RequestListener = (_, response) => {
    response.writeHead(404, { "x-amzn-errortype": "ResourceNotFoundException" });
    response.end(JSON.stringify({ Message: "Function not found: waybill-prod-migrate" }));
  };
  const { stderr, code } = await runOn(refuse, "migrate", "status");

  expect(stderr.trim()).toBe(
    "AWS refused a call (ResourceNotFoundException): Function not found: waybill-prod-migrate\n" +
      "What was done before it stays. Once that is mended: npm run deploy -- migrate status --stage prod --region eu-central-1",
  );
  expect(code).toBe(1);
});

test("a command that is printed names stage, region and parameters", () => {
  const target: Target = { stage: readStage("two"), region: "us-gov-west-1", params: ["nodeOptions=--a b"] };

  expect(ours(target, "migrate up")).toBe(
    "npm run deploy -- migrate up --stage two --region us-gov-west-1 --param 'nodeOptions=--a b'",
  );
});

const stack = (status: string, updated = 0) => ({ name: "waybill-prod", status, updated });

test.each([
  [undefined, undefined, "Nothing was made."],
  [stack("CREATE_COMPLETE"), undefined, "How the stack stands could not be told."],
  [undefined, stack("ROLLBACK_COMPLETE"), "waybill-prod was not made (ROLLBACK_COMPLETE)."],
  [undefined, stack("REVIEW_IN_PROGRESS"), "waybill-prod was not made (REVIEW_IN_PROGRESS)."],
  [stack("CREATE_COMPLETE"), stack("CREATE_COMPLETE"), "waybill-prod is as it was (CREATE_COMPLETE)."],
  [stack("UPDATE_COMPLETE"), stack("UPDATE_COMPLETE"), "waybill-prod is as it was (UPDATE_COMPLETE)."],
  [stack("UPDATE_COMPLETE"), stack("UPDATE_COMPLETE", 1), "CloudFormation has changed waybill-prod all the same."],
  [undefined, stack("UPDATE_COMPLETE", 1), "CloudFormation has changed waybill-prod all the same."],
  [
    stack("UPDATE_COMPLETE"),
    stack("UPDATE_ROLLBACK_COMPLETE"),
    "CloudFormation has rolled waybill-prod back: it is as it was.",
  ],
  [
    undefined,
    stack("UPDATE_ROLLBACK_COMPLETE"),
    "CloudFormation has rolled waybill-prod back: it has nothing but the bucket of its deploys.",
  ],
  [
    stack("UPDATE_ROLLBACK_COMPLETE"),
    stack("UPDATE_ROLLBACK_COMPLETE"),
    "waybill-prod is as it was (UPDATE_ROLLBACK_COMPLETE).",
  ],
  [
    stack("UPDATE_COMPLETE"),
    stack("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
    "waybill-prod is UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS.",
  ],
  [stack("UPDATE_COMPLETE"), stack("UPDATE_ROLLBACK_FAILED"), "waybill-prod is UPDATE_ROLLBACK_FAILED."],
])("after a deploy that failed what is told is true: %j, then %j", (before, now, told) => {
  expect(standsAfter(before, now)).toBe(told);
});

test.each([
  ["CREATE_IN_PROGRESS", "stack-create-complete"],
  ["ROLLBACK_IN_PROGRESS", "stack-create-complete"],
  ["UPDATE_IN_PROGRESS", "stack-update-complete"],
  ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "stack-update-complete"],
  ["UPDATE_ROLLBACK_IN_PROGRESS", "stack-rollback-complete"],
  ["UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "stack-rollback-complete"],
  ["DELETE_IN_PROGRESS", "stack-delete-complete"],
])("a stack that is %s is waited for by %s, then deployed", (status, waiter) => {
  const target: Target = { stage: readStage("prod"), region: "eu-central-1", params: [] };
  const by = "--region eu-central-1 --stack-name waybill-prod";

  expect(() => needUpdatable(target, stack(status))).toThrow(
    `aws cloudformation wait ${waiter} ${by}; npm run deploy -- --stage prod --region eu-central-1`,
  );
});

/** An AWS that has this stack of prod and nothing else. */
const bucketAlone: RequestListener = (_, response) => {
  response.setHeader("content-type", "text/xml");
  response.end(
    "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>waybill-prod</StackName>" +
      "<StackStatus>CREATE_COMPLETE</StackStatus><Outputs><member><OutputKey>ServerlessDeploymentBucketName</OutputKey>" +
      "<OutputValue>kept</OutputValue></member></Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>",
  );
};

test.each(["info", "smoke"])("%s of a stack whose first deploy was cut says so", async (name) => {
  const { stderr, code } = await runOn(bucketAlone, name);

  expect(stderr.trim()).toBe(
    "waybill-prod has no API (CREATE_COMPLETE): its first deploy did not come to its end. " +
      "Once more: npm run deploy -- --stage prod --region eu-central-1",
  );
  expect(code).toBe(1);
});

test.each([
  [{ running: true, faults: [] }, 0, "is at 0011_bounds; 1 pending.\npending  0012\nSomebody migrates it now.\n", ""],
  [
    { running: false, faults: ["0013_x is applied but its files are gone."] },
    1,
    "pending  0012\n",
    "0013_x is applied",
  ],
])("migrate status tells %j", async (more, expected, stdout, stderr) => {
  const status = { command: "status", applied: [], current: "0011_bounds", pending: ["0012"], database: "db:5432/d" };
  const ran = await runOn(
    (_, response) => void response.end(JSON.stringify({ ...status, ...more })),
    "migrate",
    "status",
  );

  expect(ran.stdout).toContain(stdout);
  expect(ran.stderr).toContain(stderr);
  expect(ran.code).toBe(expected);
});
