import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";

const run = promisify(execFile);

/** What the checks of a copy need of the tree. */
const FOLDERS = [
  "agents",
  "bench",
  "bin",
  "cli",
  "chaos",
  "deploy",
  "docs",
  "functions",
  "lib",
  "localstack",
  "migrations",
  "tests",
];
const FILES = [
  "docker-compose.yml",
  "llm.config.yaml",
  "package.json",
  "serverless.yml",
  "tsconfig.json",
  "vitest.config.ts",
  ".env.example",
];
const PARTS = FOLDERS.concat(FILES);
const ROUTES = "lib/work/core/routes.ts";
const CALLS = "lib/wiring/calls/reading.ts";

let copy: string;
const at = (file: string) => join(copy, file);
const read = (file: string) => readFileSync(at(file), "utf8");
const write = (file: string, text: string) => {
  mkdirSync(dirname(at(file)), { recursive: true });
  writeFileSync(at(file), text);
};
const node = async (program: string, ...args: string[]) =>
  await run(process.execPath, [join("node_modules", program), ...args], { cwd: copy, maxBuffer: 1e8 });

/** Compiles the copy; the second time only what has changed. */
const compile = async () => await node("typescript/bin/tsc", "--incremental", "--tsBuildInfoFile", "compiled.json");

/** Carries out the example of CONTRIBUTING.md. */
beforeAll(async () => {
  copy = mkdtempSync(join(tmpdir(), "waybill-add-a-call-"));
  for (const part of PARTS) cpSync(part, at(part), { recursive: true });
  symlinkSync(resolve("node_modules"), at("node_modules"));

  const page = readFileSync("CONTRIBUTING.md", "utf8");
  const example = /<!-- example: add a call -->([^]*)<!-- \/example -->/.exec(page)?.[1] ?? "";
  const [route = "", useCase = "", answer = "", entryPoint = "", ownTest = ""] = Array.from(
    example.matchAll(/^```ts\n([^]*?)^```$/gm),
    ([, code = ""]) => code,
  );
  const routes = read(ROUTES)
    .replace("/** Every call about work. */", `${route}\n/** Every call about work. */`)
    .replace("workRoutes = [", "workRoutes = [\n  getStatus,");
  write(ROUTES, routes);
  write("lib/work/reading/status.ts", useCase);
  write(CALLS, `import { statusOf } from "../../work/reading/status.ts";\n${read(CALLS)}\n${answer}`);
  write("functions/work/get-work.ts", entryPoint);
  write("tests/work/reading/status.test.ts", ownTest);
  await run(process.execPath, ["bin/generate/main.ts"], { cwd: copy });
}, 120_000);

afterAll(() => rmSync(copy, { recursive: true, force: true }));

test("a call is added by a route, a use case, an answer, a row and a test: it compiles, and its own test passes", {
  timeout: 180_000,
}, async () => {
  await compile();
  const { stdout } = await node("vitest/vitest.mjs", "run", "tests/work/reading/status.test.ts");

  expect(stdout).toMatch(/1 passed/);
});

test("from the route the call is served, authorised and documented", () => {
  const { functions, resources } = parse(read("deploy/http.yml"));
  const { paths } = JSON.parse(read("docs/openapi.json"));

  expect(functions["get-work"].events).toContainEqual({ httpApi: "GET /work/{task_id}/status" });
  expect(resources.extensions["HttpApiRouteGetWorkTaskidVarStatus"]).toEqual({ Properties: "${derived:guard}" });
  expect(paths["/work/{task_id}/status"].get).toMatchObject({ operationId: "getStatus" });
});

test("a route that does not say who may call it does not compile", { timeout: 120_000 }, async () => {
  const whole = read(ROUTES);
  write(ROUTES, whole.replace(/(operation: "getStatus",\n.*\n) {2}access: READER,\n/, "$1"));
  expect(read(ROUTES)).not.toBe(whole);

  const compiled = await compile().then(
    () => "compiled",
    ({ stdout }: { stdout: string }) => stdout,
  );

  write(ROUTES, whole);
  expect(compiled).toMatch(/routes\.ts.*'access' is missing/s);
});
