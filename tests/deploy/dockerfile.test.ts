import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { instructions, stage } from "../support/stack/dockerfile.ts";

const packageJson = JSON.parse(readFileSync("package.json", "utf8")) as { devDependencies: Record<string, string> };

/** Where a path of a stage comes from: the sources that its instructions copy from the project. */
function copied(name: string): string[] {
  return stage(name)
    .filter((line) => line.startsWith("COPY ") && !line.includes("--from"))
    .flatMap((line) => line.split(" ").slice(1, -1));
}

test("the image has the Node that the project pins", () => {
  expect(instructions[0]).toBe(`ARG NODE_VERSION=${packageJson.devDependencies["node"]}`);
  expect(instructions[1]).toBe(`FROM node:\${NODE_VERSION}-slim AS base`);
});

test.each(["functions", "agent", "bridge"])("the image %s runs as node, not as root", (name) => {
  expect(stage(name).filter((line) => line.startsWith("USER "))).toEqual(["USER node"]);
  expect(stage(name).at(-1)).toMatch(/^CMD \["node", /);
});

test("packages come without their install scripts, and those of development only where serverless runs", () => {
  expect(stage("runtime-packages").at(-1)).toBe("RUN npm ci --ignore-scripts --omit=dev");
  // The patch of serverless-esbuild makes one build of all functions: without it they need three times the memory.
  expect(stage("all-packages").slice(-2)).toEqual([
    "COPY patches patches",
    "RUN npm ci --ignore-scripts && node_modules/.bin/patch-package --error-on-fail",
  ]);
});

test("compose builds the stages that exist", () => {
  const { services } = parse(readFileSync("docker-compose.yml", "utf8"), { merge: true }) as {
    services: Record<string, { build?: { target: string } }>;
  };
  const targets = Object.values(services).flatMap(({ build }) => (build === undefined ? [] : [build.target]));

  expect(new Set(targets)).toEqual(new Set(["functions", "agent", "bridge"]));
});

test("what the images copy exists, and nothing else of the project is sent to the builder", () => {
  const sources = [...new Set(["all-packages", "functions", "agent"].flatMap(copied))];
  const inside = copied("bridge").filter((path) => !sources.includes(path));
  const sent = readFileSync(".dockerignore", "utf8")
    .split("\n")
    .filter((line) => line.startsWith("!"))
    .map((line) => line.slice(1).replace(/\/$/, ""));

  expect([...sources, ...inside].filter((source) => !existsSync(source))).toEqual([]);
  expect(inside.filter((path) => !sources.some((source) => path.startsWith(`${source}/`)))).toEqual([]);
  expect(sources.toSorted()).toEqual(sent.toSorted());
});

test.each(["functions", "agent", "bridge"])("what the code of the image %s imports is in it", (name) => {
  const inside = copied(name);
  const files = inside.flatMap((path) =>
    statSync(path).isDirectory()
      ? readdirSync(path, { recursive: true }).map((file) => `${path}/${String(file)}`)
      : [path],
  );

  const outside = files
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => {
      const imports = readFileSync(file, "utf8").matchAll(/(?:from|import\() ?"(\.[^"]+)"/g);
      return [...imports].map(([, path]) => new URL(path ?? "", `file:///${file}`).pathname.slice(1));
    })
    .filter((file) => !files.includes(file) && !file.startsWith("node_modules/"));
  expect(outside).toEqual([]);
});

test("the agents' image has the commands that the agent `code` offers beside its own Node", () => {
  expect(stage("agent").find((line) => line.startsWith("RUN apt-get"))).toMatch(/ install .*\bgit\b/);
});

test("what the images start is in them", () => {
  expect(stage("functions").at(-1)).toContain('"offline", "start", "--host", "0.0.0.0", "--httpPort", "3000"');
  expect(stage("bridge").at(-1)).toBe('CMD ["node", "localstack/bridge/main.ts"]');
  expect(stage("agent").at(-1)).toBe('CMD ["node", "/app/agents/code.ts"]');
});
