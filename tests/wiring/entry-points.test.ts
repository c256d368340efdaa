import { globSync, readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { functions } from "../../lib/wiring/functions.ts";
import { routes } from "../../lib/wiring/routes.ts";
import { awslambda } from "../../localstack/functions/llm-stream.ts";
import { eventOf, seen } from "../support/http/http-event.ts";

const files = globSync("functions/*/*.ts");

beforeAll(() => {
  // What Lambda puts into a function with response streaming.
  Object.assign(globalThis, { awslambda });
});

test("an entry point has at most 25 lines", () => {
  const long = files.filter((file) => readFileSync(file, "utf8").trimEnd().split("\n").length > 25);

  expect(files.length).toBeGreaterThan(15);
  expect(long).toEqual([]);
});

test("every function has its entry point where lib/wiring/functions.ts says, and there are no others", () => {
  const listed = Object.entries(functions).map(([name, { room }]) => `${room}/${name}`);

  expect(files.map((file) => `${basename(dirname(file))}/${basename(file, ".ts")}`).toSorted()).toEqual(
    listed.toSorted(),
  );
});

test("every route names a function that answers HTTP calls", () => {
  const answering = Object.entries(functions).flatMap(([name, { events }]) => (events === "routes" ? [name] : []));

  expect([...new Set(routes.map((route) => route.function))].toSorted()).toEqual(answering.toSorted());
});

test.each(routes.map((route) => [`${route.method} ${route.path}`, route] as const))(
  "%s is served by the function that its route names",
  async (_name, route) => {
    const { room } = functions[route.function];
    const { handler } = await import(`../../functions/${room}/${route.function}.ts`);
    const { method, path } = route;
    const pathParameters = { task_id: "0198c5f2-7c1e-7000-8000-0123456789ab", name: "code" };

    const { text } = seen(
      await handler(eventOf({ method, rawPath: path, routeKey: `${method} ${path}`, pathParameters })),
    );

    // Refused for what it lacks, or answered: but never as a call that nobody knows.
    expect(text.slice(0, 500)).not.toMatch(/Nothing has this path|does not take|There is no/);
  },
);
