import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import fc from "fast-check";
import { expect, test } from "vitest";
import { asyncApi, protocolSchema } from "../../lib/protocol/documents.ts";
import { Message, parseMessage } from "../../lib/protocol/messages.ts";
import { anything, message } from "./arbitrary.ts";

const addFormats = ajvFormats.default;
const ajv = new Ajv2020({ allErrors: false });
addFormats(ajv);
const accepts = ajv.compile(protocolSchema());

test("the JSON Schema takes every message that the library takes", () => {
  fc.assert(
    fc.property(message, (given) => {
      expect(accepts(given) || accepts.errors).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("the JSON Schema refuses what the library refuses, and nothing else", () => {
  let refused = 0;
  fc.assert(
    fc.property(message, fc.nat(), anything, fc.constantFrom("set", "delete", "add"), (given, at, wrong, how) => {
      const value = mutated(given, at, wrong, how);
      const taken = Message.safeParse(value).success;
      if (!taken) refused++;

      expect({ value, taken: accepts(value) }).toEqual({ value, taken });
    }),
    { numRuns: 3000 },
  );
  expect(refused).toBeGreaterThan(1000);
});

/** The message with one of its places, at any depth, set to another value, deleted, or given an unknown neighbour. */
function mutated(given: object, at: number, wrong: unknown, how: string): unknown {
  const copy = structuredClone(given);
  const places = placesIn(copy);
  const [owner, key] = places[at % places.length] as [Record<string, unknown>, string];
  if (how === "set") owner[key] = wrong;
  else if (how === "add") owner["unknown_field"] = wrong;
  else if (Array.isArray(owner)) owner.splice(Number(key), 1);
  else delete owner[key];
  return copy;
}

function placesIn(value: unknown): [object, string][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[value, key] as [object, string], ...placesIn(inner)]);
}

test("the AsyncAPI document is one, by the AsyncAPI project's own schema", () => {
  const require = createRequire(import.meta.url);
  const schema = JSON.parse(readFileSync(require.resolve("@asyncapi/specs/schemas/3.0.0.json"), "utf8")) as object;
  // The schema brings its own copy of draft 07, which would clash with ajv's.
  const judge = new Ajv({ strict: false, meta: false, validateSchema: false });
  addFormats(judge);
  const isAsyncApi = judge.compile(schema);

  expect(isAsyncApi(asyncApi()) || isAsyncApi.errors).toBe(true);
  expect(isAsyncApi({ ...asyncApi(), operations: { shout: { action: "shout" } } })).toBe(false);
});

test("the AsyncAPI document refers only to what it has, and its messages are those of the JSON Schema", () => {
  const document = asyncApi();
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map((match) => String(match[1]));
  const lookUp = (path: string) =>
    path.split("/").reduce<unknown>((value, key) => (value as Record<string, unknown>)?.[key], document);

  expect(refs.length).toBeGreaterThan(20);
  expect(refs.filter((ref) => lookUp(ref) === undefined)).toEqual([]);
  const schemas = JSON.stringify(lookUp("components/schemas")).replaceAll("#/components/schemas/", "#/$defs/");
  expect(JSON.parse(schemas)).toEqual(protocolSchema()["$defs"]);
});

test("every message has a channel in which an operation of ours sends or receives it", () => {
  const { operations, components } = asyncApi() as {
    operations: Record<string, { messages: { $ref: string }[] }>;
    components: { messages: object };
  };
  const used = Object.values(operations).flatMap(({ messages }) => messages.map(({ $ref }) => $ref.split("/").at(-1)));

  expect(new Set(used)).toEqual(new Set(Object.keys(components.messages)));
});

test("what the JSON Schema cannot say, the library still refuses", () => {
  const nul = '{"a":"\\u0000"}';

  expect(parseMessage(nul)).toMatchObject({ ok: false, faults: [{ field: "a" }] });
  expect(protocolSchema()["description"]).toMatch(/NUL/);
});

test("the kept documents are what the code makes, and the check says so", async () => {
  const keep = (file: string) =>
    JSON.parse(readFileSync(new URL(`../../docs/${file}`, import.meta.url), "utf8")) as object;

  expect(keep("protocol.schema.json")).toEqual(protocolSchema());
  expect(keep("asyncapi.json")).toEqual(asyncApi());
});

test("the generator refuses an argument that it does not know", async () => {
  const run = promisify(execFile)(process.execPath, ["bin/generate/main.ts", "--chekc"]);

  await expect(run).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining("Usage: ") });
});
