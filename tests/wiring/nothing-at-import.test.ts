import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";

// Of lib/ no file does anything when it is imported. An entry point of functions/ is where a function starts: it reads the environment,
// and begins nothing. The one exception is functions/llm/, which opens the gateway at its start (docs/design.md, rule 7).

/**
 * Imports files in a process of its own, which notes what is asked of the environment and which begin to read a file or to
 * connect, and ends when nothing is left to wait for.
 */
const PROGRAM = `
  import files from "node:fs/promises";
  import { syncBuiltinESMExports } from "node:module";
  import { Socket } from "node:net";
  const asked = new Set();
  const begun = new Set();
  let importing;
  const noting = (of, name) => {
    const begin = of[name];
    of[name] = function (...args) {
      // The SDK of AWS looks for a developer's settings when a client is made.
      if (!String(args[0]).includes("/.aws/")) begun.add(importing);
      return begin.apply(this, args);
    };
  };
  noting(files, "readFile");
  noting(Socket.prototype, "connect");
  syncBuiltinESMExports();
  globalThis.awslambda = { streamifyResponse: (handler) => handler };
  const environment = { ...process.env };
  process.env = new Proxy(environment, {
    get: (target, name) => { asked.add(String(name)); return target[name]; },
    has: (target, name) => { asked.add(String(name)); return name in target; },
    ownKeys: (target) => { asked.add("all of it"); return Reflect.ownKeys(target); },
  });
  for (const file of JSON.parse(process.argv[1])) {
    importing = file;
    await import(file);
  }
  console.log(JSON.stringify({ asked: [...asked], begun: [...begun] }));
`;

/** Imports the files of a pattern. Ends by itself: a timer, a socket or a connection that an import had opened would keep it. */
function importAll(pattern: string, env: NodeJS.ProcessEnv) {
  const files = globSync(pattern).toSorted();
  const urls = files.map((file) => pathToFileURL(resolve(file)).href);
  const args = ["--input-type=module", "-e", PROGRAM, JSON.stringify(urls)];
  const printed = execFileSync(process.execPath, args, { encoding: "utf8", env, timeout: 45_000 });
  const { asked, begun } = JSON.parse(printed) as { asked: string[]; begun: string[] };
  return { files, asked, begun: begun.map((url) => files[urls.indexOf(url)]) };
}

test("a file of lib reads none of our variables when it is imported, and starts nothing", { timeout: 60_000 }, () => {
  const { files, asked, begun } = importAll("lib/**/*.ts", {});

  expect(files.length).toBeGreaterThan(150);
  const ours = [...readFileSync(".env.example", "utf8").matchAll(/^#([A-Z][A-Z0-9_]+)=/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => !name.startsWith("AWS_"));
  expect(ours.length).toBeGreaterThan(35);
  expect(begun).toEqual([]);
  expect(asked.filter((name) => ours.includes(name) || name === "all of it")).toEqual([]);
});

test("an entry point begins nothing when it is imported, but the gateway's, which open it", { timeout: 60_000 }, () => {
  const { files, begun } = importAll("functions/*/*.ts", { ...process.env, LOG_LEVEL: "silent" });

  expect(files.length).toBeGreaterThan(15);
  expect(begun).toEqual(["functions/llm/llm-route.ts", "functions/llm/llm-stream.ts"]);
});
