// npm run generate writes every file that is derived from code; npm run generated (--check) compares them and fails on drift.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { readMigrations } from "../../lib/migrations/files.ts";
import { asyncApi, protocolSchema } from "../../lib/protocol/documents.ts";
import { openApi } from "../../lib/runtime/http/openapi.ts";
import { command } from "../../lib/terminal/command.ts";
import { routes } from "../../lib/wiring/routes.ts";
import { initScript } from "../../localstack/parts/init-script.ts";
import { makeSchemaSql } from "../schema.ts";
import { httpYaml, rolesYaml } from "./deployment.ts";

const root = new URL("../../", import.meta.url);

const generated: { file: string; make: () => string | Promise<string> }[] = [
  { file: "docs/protocol.schema.json", make: () => json(protocolSchema()) },
  { file: "docs/asyncapi.json", make: () => json(asyncApi()) },
  { file: "docs/openapi.json", make: () => json(openApi(routes)) },
  { file: "deploy/http.yml", make: httpYaml },
  { file: "deploy/roles.yml", make: rolesYaml },
  { file: "localstack/init/queues.sh", make: initScript },
  { file: "migrations/names.json", make: () => json(namesOfMigrations()) },
  { file: "migrations/schema.sql", make: makeSchemaSql },
];

/** What GET /health compares with the database: its bundle does not carry the migrations. */
function namesOfMigrations(): string[] {
  return readMigrations(fileURLToPath(new URL("migrations", root))).map(({ name }) => name);
}

function json(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

process.exitCode = await command({
  usage:
    "Usage: node bin/generate/main.ts [--check]\n\nWrites every generated file; with --check compares them and fails on drift.",
  options: { check: { type: "boolean" } },
  run: async ({ values: { check } }) => {
    let drift = 0;
    for (const { file, make } of generated) {
      const made = await make();
      const kept = await readFile(new URL(file, root), "utf8").catch(() => undefined);
      if (kept === made) continue;
      if (check) {
        console.error(
          `${file} ${kept === undefined ? "is missing" : "is not what the code makes"}. Run: npm run generate`,
        );
        drift = 1;
      } else {
        await writeFile(new URL(file, root), made);
        console.log(`wrote ${file}`);
      }
    }
    return drift;
  },
});
