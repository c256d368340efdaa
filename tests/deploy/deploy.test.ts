import { spawnSync } from "node:child_process";
import { beforeAll, expect, test } from "vitest";
import { deploy, parametersOf, stepsOf } from "../../bin/deploy/main.ts";
import { packageService, readTemplate } from "./packaged.ts";

beforeAll(packageService);

const steps = stepsOf({ stage: "prod", region: "eu-central-1", params: [] });
const names = (calls: string[][]) => calls.map(([command]) => command);

/** Runs the command with credentials of nobody. */
function run(...args: string[]) {
  const env = { PATH: process.env["PATH"], HOME: "/nonexistent", AWS_EC2_METADATA_DISABLED: "true" };
  return spawnSync(process.execPath, ["bin/deploy/main.ts", ...args], { encoding: "utf8", env });
}

test("the order is package, check, deploy, migrate", async () => {
  const calls: string[][] = [];

  await deploy(
    steps,
    async (args) => {
      calls.push(args);
      return 0;
    },
    async () => void calls.push(["check"]),
  );

  expect(names(calls)).toEqual(["package", "check", "deploy", "invoke"]);
  expect(calls.at(-1)).toEqual(expect.arrayContaining(["--function", "migrate", "--data", '{"command":"up"}']));
});

test.each([
  ["package", ["package"]],
  ["deploy", ["package", "deploy"]],
  ["migrate", ["package", "deploy", "invoke"]],
])("a failure of %s stops the deployment there and says what to do", async (failing, expected) => {
  const calls: string[][] = [];
  const failed = failing === "migrate" ? "invoke" : failing;

  const deployed = deploy(
    steps,
    async (args) => {
      calls.push(args);
      return args[0] === failed ? 7 : 0;
    },
    async () => {},
  );

  await expect(deployed).rejects.toThrow(new RegExp(`^${failing} failed \\(exit code 7\\)\\. .*start again`, "s"));
  expect(names(calls)).toEqual(expected);
});

test("nothing is deployed where a parameter is missing", async () => {
  const calls: string[][] = [];

  const deployed = deploy(
    steps,
    async (args) => {
      calls.push(args);
      return 0;
    },
    async () => {
      throw new Error("These SSM parameters are missing");
    },
  );

  await expect(deployed).rejects.toThrow("missing");
  expect(names(calls)).toEqual(["package"]);
});

test("the parameters to look for are those of the template", () => {
  expect(parametersOf(JSON.stringify(readTemplate()))).toEqual([
    "/waybill/dev/database-url",
    "/waybill/dev/database-secret-arn",
  ]);
});

test("--dry-run prints the commands and needs no credentials", () => {
  const { status, stdout } = run(
    "--stage",
    "prod",
    "--region",
    "eu-central-1",
    "--param",
    "alarmEmail=a@b.example",
    "--dry-run",
  );

  expect(status).toBe(0);
  expect(stdout.trimEnd().split("\n")).toEqual([
    "serverless package --stage prod --region eu-central-1 --param alarmEmail=a@b.example",
    "serverless deploy --package .serverless --stage prod --region eu-central-1 --param alarmEmail=a@b.example",
    `serverless invoke --function migrate --data '{"command":"up"}' --stage prod --region eu-central-1`,
  ]);
});

test.each([
  [["--region", "eu-central-1"], 2, "Which stage?"],
  [["--stage", "prod"], 2, "Which region?"],
  [["--stage", "prod", "--region", "eu-central-1", "--param", "x"], 2, "--param x is not name=value"],
  [["--stage", "prod", "--region", "eu-central-1"], 1, "No AWS credentials were found"],
])("%j is refused with %i and what is missing", (args, exit, message) => {
  const { status, stdout, stderr } = run(...args);

  expect(status).toBe(exit);
  expect(stderr).toContain(message);
  expect(stdout).toBe("");
});
