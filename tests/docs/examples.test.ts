import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readStage } from "../../deploy/stage.ts";
import { readDefinition } from "../../lib/registry/definition-file.ts";
import { uuidv7 } from "../../lib/runtime/ids.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { blocksOf, PAGES } from "./pages.ts";

const db = connect();
// Beside the code, for there it finds its packages.
mkdirSync(".waybill", { recursive: true });
const folder = mkdtempSync(join(".waybill", "examples-"));
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await db.end();
});

/** Fragments that a test of the example of CONTRIBUTING.md puts into their places. */
const CARRIED_OUT = ["CONTRIBUTING.md"];

const examples = PAGES.filter((page) => !CARRIED_OUT.includes(page)).flatMap((page) =>
  blocksOf(page).map((block) => ({ ...block, page, at: `${page}:${block.line}` })),
);
const inLanguage = (language: string) => examples.filter((example) => example.language === language);

test("the examples in TypeScript are programs without a fault of types", () => {
  const written = inLanguage("ts").map(({ text, at }) => ({ text, file: `${at.replaceAll(/\W/g, "-")}.ts` }));
  for (const { file, text } of written) writeFileSync(join(folder, file), text.replaceAll("../lib/", "../../lib/"));
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ extends: "../../tsconfig.json", include: ["*.ts"] }));

  const { stdout } = spawnSync("npx", ["tsc", "-p", folder], { encoding: "utf8" });

  expect(written.length).toBeGreaterThan(3);
  // An example may show a value that it does not use.
  expect(stdout.split("\n").filter((line) => line !== "" && !/TS6133/.test(line))).toEqual([]);
}, 120_000);

test("the examples in JSON are JSON", () => {
  const wrong = inLanguage("json").filter(({ text }) => !isJson(text));

  expect(inLanguage("json").length).toBeGreaterThan(10);
  expect(wrong.map(({ at }) => at)).toEqual([]);
});

test("the definitions of agents are ones that the registry takes", () => {
  const definitions = inLanguage("yaml").filter(({ page }) => page === "docs/registry.md");

  expect(definitions.map(({ text }) => readDefinition(text))).toMatchObject([{ ok: true }]);
});

test("the stage that is shown is one that a deploy takes", () => {
  const shown = inLanguage("yaml").filter(({ page }) => page === "docs/deploy.md");
  for (const { text } of shown) writeFileSync(join(folder, "prod.yml"), text);

  expect(shown).toHaveLength(1);
  expect(Object.keys(readStage("prod", [], folder).said).length).toBeGreaterThan(2);
});

test("the statements are ones that the database takes", async () => {
  const statements = inLanguage("sql").flatMap(({ text }) => text.replaceAll(/--.*$/gm, "").split(/;\s*/));

  expect(statements.length).toBeGreaterThan(3);
  for (const statement of statements.filter((one) => one.trim() !== "")) {
    expect(await db.unsafe(statement, [uuidv7()])).toEqual([]);
  }
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
