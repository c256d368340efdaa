import * as z from "zod";
import { JsonValue } from "../../lib/protocol/fields.ts";

/** JSON as documents are made of it. */
export type Json = Record<string, unknown>;

const NO_NUL = "^[^\\u0000]*$";
const NAME = "^(?!__proto__$)[^\\u0000]*$";
const free = { $ref: "#/components/schemas/JsonValue" };

/** The component JsonValue: of what callers send, what Postgres and a 64-bit float keep as it is. */
export const jsonValue = {
  description:
    "JSON without NUL and without the name __proto__, of at most 64 levels with all that is around it, whose whole numbers a " +
    "64-bit float holds. No object has a name twice.",
  anyOf: [
    { type: ["null", "boolean"] },
    { type: "string", pattern: NO_NUL },
    { type: "number", minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
    { type: "array", items: free },
    { type: "object", propertyNames: { pattern: NAME }, additionalProperties: free },
  ],
};

/** One schema as JSON Schema, of what is sent or of what is answered; what has a meta id is moved to `components`. Throws where two share one. */
export function collect(schema: z.ZodType, io: "input" | "output", components: Record<string, Json>): Json {
  const override = io === "input" ? limitInput : freeOutput;
  const made = z.toJSONSchema(schema, { io, override }) as Json;
  const { $schema: _, $defs = {}, ...rest } = rename(made) as { $schema?: string; $defs?: Record<string, Json> };
  for (const [id, definition] of Object.entries($defs)) {
    const known = components[id];
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(definition)) {
      throw new Error(`Two schemas have the meta id ${id}. Give one of them another.`);
    }
    components[id] = definition;
  }
  return rest;
}

function rename(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rename);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      key === "$ref" && typeof inner === "string" ? inner.replace("#/$defs/", "#/components/schemas/") : rename(inner),
    ]),
  );
}

type Override = { zodSchema: z.core.$ZodTypes; jsonSchema: Json };

/** Drops what zod says at length: `format` carries the calendar and the form of a UUID. */
function simplify({ zodSchema, jsonSchema }: Override): void {
  const { type, format } = (zodSchema as unknown as z.ZodType).def as { type: string; format?: string };
  // Keys of JSON are strings anyway.
  if (JSON.stringify(jsonSchema["propertyNames"]) === '{"type":"string"}') delete jsonSchema["propertyNames"];
  if (type === "string" && format === "datetime") {
    delete jsonSchema["allOf"];
    jsonSchema["format"] = "date-time";
  }
  if (["date-time", "uuid"].includes(String(jsonSchema["format"]))) delete jsonSchema["pattern"];
}

/** Says of what callers send what is refused wherever it stands. */
function limitInput(of: Override): void {
  simplify(of);
  const { zodSchema, jsonSchema } = of;
  const { valueType } = (zodSchema as unknown as z.ZodType).def as { valueType?: z.ZodType };
  if ((zodSchema as unknown) === JsonValue) Object.assign(jsonSchema, free);
  if (valueType === JsonValue) jsonSchema["propertyNames"] = { pattern: NAME };
  const anything = ["pattern", "format", "enum", "const"].every((name) => jsonSchema[name] === undefined);
  if (jsonSchema["type"] === "string" && anything) jsonSchema["pattern"] = NO_NUL;
}

/** What is answered is as large as it is. */
function freeOutput(of: Override): void {
  simplify(of);
  const { jsonSchema } = of;
  if (jsonSchema["minimum"] === Number.MIN_SAFE_INTEGER) delete jsonSchema["minimum"];
  if (jsonSchema["maximum"] === Number.MAX_SAFE_INTEGER) delete jsonSchema["maximum"];
}
