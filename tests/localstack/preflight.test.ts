import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { testFolder } from "../support/agents/agent.ts";

const folder = testFolder();
const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };

test("a command that users run says what to do where the packages are not installed", () => {
  mkdirSync(join(folder, "localstack"));
  for (const file of ["package.json", "localstack/preflight.mjs"]) cpSync(file, join(folder, file));

  const { status, stderr } = spawnSync("npm", ["run", "report"], { cwd: folder, encoding: "utf8" });

  expect(status).toBe(1);
  expect(stderr).toContain("The project's packages are not installed.\nRun: npm ci");
});

test.each([
  "start",
  "demo",
  "migrate",
  "agents:sync",
  "seed",
  "report",
  "deploy",
  "llm:check",
  "llm:compare",
  "llm:switch",
])("npm run %s looks whether they are", (name) => {
  expect(scripts).toMatchObject({ [name]: expect.any(String), [`pre${name}`]: "node localstack/preflight.mjs" });
});
