import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";

/** Imports files in a process of its own, which notes what is asked of the environment and ends when nothing is left to wait for. */
const PROGRAM = `
  const asked = new Set();
  const environment = { ...process.env };
  process.env = new Proxy(environment, {
    get: (target, name) => { asked.add(String(name)); return target[name]; },
    has: (target, name) => { asked.add(String(name)); return name in target; },
    ownKeys: (target) => { asked.add("all of it"); return Reflect.ownKeys(target); },
  });
  for (const file of JSON.parse(process.argv[1])) await import(file);
  console.log(JSON.stringify([...asked]));
`;

test("a file of lib reads none of our variables when it is imported, and starts nothing", { timeout: 60_000 }, () => {
  const files = globSync("lib/**/*.ts").map((file) => pathToFileURL(resolve(file)).href);
  const args = ["--input-type=module", "-e", PROGRAM, JSON.stringify(files)];

  // Ends by itself: a timer, a socket or a connection that an import had opened would keep it.
  const asked = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8", env: {}, timeout: 45_000 }));

  expect(files.length).toBeGreaterThan(150);
  const ours = [...readFileSync(".env.example", "utf8").matchAll(/^#([A-Z][A-Z0-9_]+)=/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => !name.startsWith("AWS_"));
  expect(ours.length).toBeGreaterThan(35);
  expect(asked.filter((name: string) => ours.includes(name) || name === "all of it")).toEqual([]);
});
