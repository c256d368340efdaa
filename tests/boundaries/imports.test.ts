import { globSync } from "node:fs";
import { expect, test } from "vitest";
import { circlesOfTable, faultsIn, type Rules } from "./check-imports.ts";
import { FOLDERS, PURE, REASONS, TO_MEND } from "./imports.ts";
import { readSource, readSources, type Source } from "./source.ts";

const sources = readSources();
const rules: Rules = { folders: FOLDERS, reasons: REASONS, pure: PURE, toMend: TO_MEND };
const present = faultsIn(sources, rules);

test("every import is allowed by the table, goes one way, and leaves the pure files pure", () => {
  expect(sources.length).toBeGreaterThan(250);
  expect(sources.flatMap(({ imports }) => imports).length).toBeGreaterThan(1000);
  expect(present).toEqual([]);
});

test("what the table allows goes one way, too", () => {
  expect(circlesOfTable(sources, rules)).toEqual([]);
  const looped = { ...FOLDERS, "lib/protocol": { types: ["lib/work/core"] } };
  expect(circlesOfTable(sources, { ...rules, folders: looped })).toEqual([
    expect.stringMatching(/lib\/protocol -> lib\/work\/core/),
  ]);
});

test("the table names only what there is", () => {
  const named = Object.values(FOLDERS).flatMap(({ may = [], types = [] }) => [...may, ...types]);
  const ours = [...named, ...Object.keys(FOLDERS), ...PURE].filter((name) =>
    /^(lib|localstack|bin|cli|bench|chaos|trials|agents|functions|tests)\b/.test(name),
  );
  const files = (name: string) => globSync(/\.\w+$/.test(name) || name.endsWith("/**") ? name : `${name}/*.ts`);
  expect(ours.filter((name) => files(name).length === 0)).toEqual([]);
});

test("every entry of TO_MEND still excuses something", () => {
  const stale = TO_MEND.filter(
    (entry) =>
      faultsIn(sources, { ...rules, toMend: TO_MEND.filter((other) => other !== entry) }).length <= present.length,
  );
  expect(stale).toEqual([]);
});

/** What the test says of the code only with this text in one of its files, or in a new one. Nothing is written. */
function faultsWith(path: string, text: string): string[] {
  return faultsIn(planted(path, text), rules).filter((fault) => !present.includes(fault));
}

function planted(path: string, text: string): Source[] {
  const own = sources.find((source) => source.path === path);
  const added = readSource(path, text);
  const merged = {
    ...added,
    imports: [...(own?.imports ?? []), ...added.imports],
    names: new Set([...(own?.names ?? []), ...added.names]),
  };
  return [...sources.filter((source) => source.path !== path), merged];
}

/** A file, what is planted into it, and what the test then says. */
const REFUSED: [file: string, text: string, says: RegExp][] = [
  // These five passed the linter's deny-lists, of which a later one replaced an earlier one.
  ["lib/registry/queues.ts", 'import { findTask } from "../work/core/queries.ts"', /values meet in lib\/wiring/],
  ["lib/llm/dialects/json.ts", 'import { q } from "../../registry/queues.ts"', /values meet in lib\/wiring/],
  ["lib/llm/routing/rules.ts", 'import postgres from "postgres"', /takes db: Db as its first argument/],
  ["lib/router/score/score.ts", 'import { SQS } from "@aws-sdk/client-sqs"', /AWS lives in lib\/runtime\/aws/],
  ["lib/work/core/lifecycle.ts", 'import { learn } from "../../router/learn/learn.ts"', /values meet in lib\/wiring/],
  // Every way of importing.
  ["lib/work/core/schema.ts", 'import type { Plan } from "../../llm/routing/rules.ts"', /the type Plan of lib\/llm/],
  ["lib/work/core/schema.ts", 'import { type Plan } from "../../llm/routing/rules.ts"', /the type Plan of lib\/llm/],
  ["lib/work/core/schema.ts", 'let plan: import("../../llm/routing/rules.ts").Plan', /the type lib\/llm\/routing/],
  ["lib/registry/store.ts", 'await import("../llm/gateway.ts")', /imports lib\/llm\/gateway\.ts/],
  ["lib/registry/store.ts", "await import(name)", /imports a computed name/],
  ["lib/registry/store.ts", 'require("../llm/gateway.ts")', /imports lib\/llm\/gateway\.ts/],
  ["lib/registry/store.ts", 'new URL("../llm/gateway.ts", import.meta.url)', /imports lib\/llm\/gateway\.ts/],
  [
    "lib/protocol/fields.ts",
    'export * from "../work/core/schema.ts"',
    /lib\/protocol may import lib\/input, zod, node:crypto\./,
  ],
  ["lib/input/whole.ts", 'export { type Actor } from "../access/actor.ts"', /the type Actor of lib\/access/],
  ["lib/runtime/ids.ts", 'import "../wiring/control-plane.ts"', /handed to it by lib\/wiring/],
  ["lib/protocol/fields.ts", 'import ms from "ms/lib"', /imports ms\. A package is named in the row/],
  // Every rule.
  ["lib/work/core/outbox.ts", 'import { log } from "../../runtime/log.ts"', /Of lib\/runtime a room takes the types/],
  ["lib/work/core/outbox.ts", 'import { setting } from "../../runtime/settings.ts"', /takes the types/],
  [
    "lib/runtime/http/problem.ts",
    'import type { S } from "../../work/core/schema.ts"',
    /lib\/runtime\/http may import/,
  ],
  ["lib/agent-kit/agent.ts", 'import { submit } from "../work/submission/submit.ts"', /lib\/agent-kit may import/],
  [
    "lib/agent-kit/agent.ts",
    'import type { Db } from "../runtime/postgres/db.ts"',
    /Only lib\/wiring opens the database/,
  ],
  ["lib/work/core/queries.ts", 'import { run } from "../../agent-kit/run.ts"', /The kit is for agents/],
  ["functions/llm/llm-route.ts", 'import postgres from "postgres"', /the driver lives in lib\/runtime\/postgres/],
  ["lib/wiring/routes.ts", 'import { handler } from "../../functions/work/get-work.ts"', /Nothing but tests imports/],
  ["lib/router/route.ts", 'import type { Report } from "../reports/report.ts"', /no room imports them/],
  ["lib/runtime/env.ts", 'import { Umzug } from "umzug"', /Only lib\/migrations migrates/],
  ["lib/plans/graph.ts", "export const ready = []", /lib\/plans has no row\. Say in .*imports\.ts/],
  ["lib/protocol/fields.ts", 'import "./messages.ts"', /a circle: .*fields\.ts -> .*messages\.ts -> .*fields\.ts/],
  [
    "lib/input/json.ts",
    'import type { W } from "../work/core/schema.ts"',
    /a circle: .*lib\/input -> lib\/work\/core -> lib\//,
  ],
  // Pure, also in what is only used.
  ["lib/work/core/lifecycle.ts", "Date.now()", /says Date\.now/],
  ["lib/work/core/lifecycle.ts", "new Date()", /says Date\./],
  ["lib/work/core/lifecycle.ts", "new Date(Date.now())", /says Date\.now/],
  ["lib/router/score/score.ts", "Math.random()", /says Math\.random/],
  ["lib/router/decide/choice.ts", "process.env.MARGIN", /says process\.env/],
  ["lib/router/decide/choice.ts", 'import type { Log } from "../../runtime/log.ts"', /is to be pure, but/],
  ["lib/protocol/fields.ts", "performance.now()", /settle\.ts -> .*messages\.ts -> .*fields\.ts is to be pure/],
];

test.each(REFUSED)("%s may not say: %s", (file, text, says) => {
  expect(faultsWith(file, text)).toContainEqual(expect.stringMatching(says));
});

test("what stands in a comment, a text, a type or a property is no import and no clock", () => {
  const text = `
    // import "postgres"; Date.now()
    /* export * from "umzug" */
    import type {
      Timestamp, // of the wire
    } from "../../protocol/messages.ts";
    const says = "import { a } from 'postgres'; Math.random()" + 'Date.now() from umzug';
    export const at = (now: Date, given: { process: number }) => [now.getTime(), given.process, says];
  `;
  const { imports, names } = readSource("lib/work/core/lifecycle.ts", text);
  expect(imports).toEqual([
    { of: "lib/protocol/messages.ts", file: true, names: ["Timestamp"], typeOnly: true, line: 4 },
  ]);
  expect(names).not.toContain("Date");
  expect(faultsWith("lib/work/core/lifecycle.ts", text)).toEqual([]);
});
