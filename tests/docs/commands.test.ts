import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { environmentOf, launch, ready, type Started, temporaryDir } from "../support/stack/stack.ts";
import { blocksOf } from "./pages.ts";
import { type Said, said } from "./shell.ts";
import { runFor } from "./stand-ins.ts";

const data = temporaryDir();
const folder = temporaryDir();
const before = new Set(readdirSync("."));
let stack: Started;

beforeAll(async () => {
  stack = await launch({ dataDir: data.path });
  // Twice the patience: other tests run beside it.
  await ready(stack).catch(async () => await ready(stack));
  const [definition] = blocksOf("docs/registry.md").filter(({ language }) => language === "yaml");
  mkdirSync(join(folder.path, "my-agents"));
  for (const file of ["writer.yaml", "my-agents/writer.yaml"])
    writeFileSync(join(folder.path, file), definition?.text ?? "");
}, 150_000);

afterAll(async () => {
  await stack.stop();
  data.remove();
  folder.remove();
});

/** What the commands of each page have printed. */
const printed = new Map<string, string>();

test.for([...new Set(said.map(({ page }) => page))])(
  "the commands of %s work, one after the other",
  { timeout: 120_000, retry: 1 },
  async (page) => {
    const own = said.filter((one) => one.page === page);
    const { code, out, err } = await shell(own);

    const last = own[Number(/.*^@ (\d+)$/ms.exec(err)?.[1] ?? 0)];
    const where = `${page}:${last?.line} ${last?.command}`;
    expect(code === 0 ? "" : `${where}\nexit code ${code}\n${out.slice(-2_000)}${err.slice(-2_000)}`).toBe("");
    printed.set(page, stripVTControlCharacters(out));
  },
);

test("what a command writes into the folder that it is called in is not left beside the code", () => {
  expect(readdirSync(".").filter((name) => !before.has(name))).toEqual([]);
  expect(readdirSync(folder.path)).toContain("audit.jsonl");
});

test("the lines that README.md shows of the demo are lines that it prints", () => {
  const [shown] = blocksOf("README.md").filter(({ language }) => language === "text");
  const lines = new Set((printed.get("README.md") ?? "").split("\n").map(shape));

  const others = (shown?.text ?? "")
    .trimEnd()
    .split("\n")
    .filter((line) => !isPrinted(line, lines));
  expect(others).toEqual([]);
});

/** Runs commands in one shell, in the environment of who uses the stack; a call that is answered with an error fails. */
async function shell(commands: Said[]): Promise<{ code: number | null; out: string; err: string }> {
  const lines = commands.map(({ command }, index) => `echo '@ ${index}' >&2\n${onStack(runFor(command) ?? "false")}\n`);
  const head = `set -eo pipefail\ncurl() { command curl --fail-with-body "$@"; echo; }\n`;
  const env = { ...environmentOf(stack), TRACE: "agent started", NO_COLOR: "1" };
  const child = spawn("bash", ["-c", head + lines.join("")], { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, err };
}

/** The command with the addresses and folders of this test's stack; what it writes to a file by its name alone goes into ours. */
function onStack(command: string): string {
  const queues = environmentOf(stack)["AWS_ENDPOINT_URL_SQS"] ?? "";
  return command
    .replaceAll(/(http:\/\/)?(?:localhost|127\.0\.0\.1):3000/g, stack.url)
    .replaceAll("http://127.0.0.1:PORT", queues)
    .replaceAll(".waybill/", `${stack.dataDir}/`)
    .replaceAll("npx waybill ", `WAYBILL_DATA=${stack.dataDir} npx waybill `)
    .replaceAll(/ > (?=[\w-][\w.-]*$)/gm, ` > ${folder.path}/`)
    .replaceAll("@writer.yaml", `@${folder.path}/writer.yaml`)
    .replaceAll("./my-agents", `${folder.path}/my-agents`);
}

/** A line without what differs between runs: its numbers and the width of its columns. */
function shape(line: string): string {
  return line
    .replaceAll(/sha256 [0-9a-f]+/g, "sha256 0")
    .replaceAll(/\d[\d.,]*( k?ms| m?s)?/g, "0")
    .replaceAll(/\s+/g, " ")
    .trim();
}

/** A stack that was there before the demo goes on running. */
function isPrinted(line: string, printedShapes: Set<string>): boolean {
  return printedShapes.has(shape(line.replace(/…$/, "").replace(" Nothing is left running.", "")));
}
