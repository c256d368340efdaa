import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "waybill-scripts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SCRIPTS = ["localstack/init/queues.sh", ".ci/run"];

/** Puts a program on the PATH of a script, and answers that PATH. */
function fake(name: string, text: string, bin = mkdtempSync(join(folder, "bin-"))): string {
  writeFileSync(join(bin, name), text);
  chmodSync(join(bin, name), 0o755);
  return `${bin}:${process.env["PATH"]}`;
}

test.each(SCRIPTS)("%s is a bash script that stops at the first failure", (script) => {
  expect(execFileSync("bash", ["-n", script], { encoding: "utf8" })).toBe("");
  expect(readFileSync(script, "utf8")).toMatch(/^#!\/bin\/bash\n(#.*\n)*set -euo pipefail\n/);
  expect(statSync(script).mode & 0o111).toBe(0o111);
});

/** Runs a copy of .ci/run with an npm that does what the test says. */
function runCi(npm: string): { status: number | null; stdout: string; stderr: string } {
  const project = mkdtempSync(join(folder, "project-"));
  execFileSync("mkdir", [join(project, ".ci")]);
  writeFileSync(join(project, ".ci/run"), readFileSync(".ci/run"));
  const PATH = fake("npm", `#!/bin/bash\n${npm}\n`);
  // Not root, so that nothing is installed on this machine.
  fake("id", "#!/bin/bash\necho 1000\n", PATH.split(":")[0]);
  return spawnSync("bash", [join(project, ".ci/run")], { encoding: "utf8", env: { PATH } });
}

function report(passed: number, failed: number, pending = 0, files: object[] = []): string {
  const counts = { numPassedTests: passed, numFailedTests: failed, numPendingTests: pending, numTodoTests: 0 };
  return `echo '${JSON.stringify({ ...counts, testResults: files })}' > "$WAYBILL_TEST_REPORT"`;
}

test("the CI script prints the count of the tests alone on a line", () => {
  const { status, stdout } = runCi(`[ "$1" = ci ] || ${report(321, 0)}`);

  expect(stdout.split("\n")).toContain("321 passed, 0 failed");
  expect(status).toBe(0);
});

test("the CI script fails with the checks, and still prints the count", () => {
  const { status, stdout } = runCi(`[ "$1" = ci ] || { ${report(320, 1, 2)}; exit 3; }`);

  expect(stdout.split("\n")).toContain("320 passed, 1 failed, 2 skipped");
  expect(status).not.toBe(0);
});

test("the CI script fails where tests were skipped, and names them", () => {
  const skipped = { status: "skipped", fullName: "on a broker it works" };
  const files = [{ status: "passed", assertionResults: [{ status: "passed", fullName: "other" }, skipped] }];

  const { status, stdout, stderr } = runCi(`[ "$1" = ci ] || ${report(9, 0, 1, files)}`);

  expect(stdout.split("\n")).toContain("9 passed, 0 failed, 1 skipped");
  expect(stderr).toMatch(/skipped:\non a broker it works\n$/);
  expect(status).toBe(1);
});

test("the CI script lets no test be skipped for want of a broker", () => {
  const { stdout } = runCi(`echo "required: $WAYBILL_REQUIRE_RABBITMQ"; [ "$1" = ci ] || ${report(1, 0)}`);

  expect(stdout).toContain("required: 1");
});

test("the CI script runs the tests to count them where a check before them failed, and fails", () => {
  const { status, stdout } = runCi(`case "$*" in ci) ;; "run check") exit 2 ;; test) ${report(5, 0)} ;; esac`);

  expect(stdout.split("\n")).toContain("5 passed, 0 failed");
  expect(status).toBe(2);
});

test("the CI script counts a test file that does not load as a failure", () => {
  const broken = [{ status: "failed", assertionResults: [] }];

  const { status, stdout } = runCi(`[ "$1" = ci ] || ${report(7, 0, 0, broken)}`);

  expect(stdout.split("\n")).toContain("7 passed, 1 failed");
  expect(status).toBe(1);
});

test("the CI script stops where the install fails, without a count", () => {
  const { status, stdout } = runCi("exit 9");

  expect(stdout).not.toMatch(/passed/);
  expect(status).toBe(9);
});
