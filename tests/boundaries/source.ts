import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path/posix";
import { parseAst } from "vitest/node";

/** What one file takes from another file or from a package. */
export type Import = {
  /** The file of this project, from its root; or the package, or the node: module. */
  of: string;
  file: boolean;
  /** What it takes by name; empty where it takes the whole, or nothing. */
  names: string[];
  /** Gone when the types are stripped. */
  typeOnly: boolean;
  line: number;
};

/** What the boundaries look at in one file. */
export type Source = {
  /** From the project's root. */
  path: string;
  imports: Import[];
  /** The names that its code says, whatever they mean there; without those in comments and strings. */
  names: Set<string>;
  /** Its SQL: each tagged template, and what `db.unsafe()` gets. A hole stands as `$`. */
  statements: { sql: string; line: number }[];
};

/** What stands for the name in an `import()` that only a run knows. */
export const COMPUTED = "a computed name";

type Node = { type: string; start: number; end: number } & Record<string, unknown>;

/** Every TypeScript file of the product; the tests import what they like. */
export function readSources(): Source[] {
  return globSync("{functions,lib,localstack,bin,cli,agents,bench,chaos,trials}/**/*.ts")
    .toSorted()
    .map((path) => readSource(path, readFileSync(path, "utf8")));
}

/**
 * Reads one file with the parser that vitest brings (the metafile of esbuild and es-module-lexer know no types, TypeScript 7
 * has no stable API). Throws where the text is not TypeScript.
 */
export function readSource(path: string, text: string): Source {
  const source: Source = { path, imports: [], names: new Set(), statements: [] };
  const lineOf = (node: Node) => text.slice(0, node.start).split("\n").length;
  walk(parseAst(text, { lang: "ts" }) as unknown as Node, (node) => {
    const found = importOf(node);
    if (found !== undefined) {
      const { name = COMPUTED, ...more } = found;
      source.imports.push({ ...target(path, name), ...more, names: namesTaken(node), line: lineOf(node) });
    }
    for (const name of namesOf(node)) source.names.add(name);
    const sql = sqlOf(node);
    if (sql !== undefined) source.statements.push({ sql, line: lineOf(node) });
  });
  return source;
}

/** The names of values: `Date` of `new Date()`, `Math.random` of a member; those of types and of properties are none. */
function namesOf(node: Node): string[] {
  if (node.type === "MemberExpression") return [`${nameOf(node["object"])}.${nameOf(node["property"])}`];
  return node.type === "Identifier" ? [node["name"] as string] : [];
}

/** The parts of a node that are told by the node itself, or are no value. */
function isTold(node: Node, part: string): boolean {
  if (node.type === "TSTypeReference") return part === "typeName";
  // A time of other times asks no clock.
  if (node.type === "NewExpression" && nameOf(node["callee"]) === "Date" && argument(node, 0) !== undefined)
    return part === "callee";
  if (node["computed"] === true) return false;
  if (/Property|Signature|MethodDefinition/.test(node.type)) return part === "key";
  return node.type === "MemberExpression" && (part === "property" || (node[part] as Node).type === "Identifier");
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const [part, value] of Object.entries(node)) {
    for (const child of [value].flat()) {
      if (typeof child === "object" && child !== null && "type" in child && !isTold(node, part))
        walk(child as Node, visit);
    }
  }
}

/** What a node imports, its name undefined where that is not a text; undefined where it imports nothing. */
function importOf(node: Node): { name: string | undefined; typeOnly: boolean } | undefined {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
      return node["source"] == null ? undefined : { name: literal(node["source"]), typeOnly: onlyTypes(node) };
    case "ImportExpression":
    case "TSImportType":
      return { name: literal(node["source"]), typeOnly: node.type === "TSImportType" };
    case "CallExpression":
      return nameOf(node["callee"]) === "require" ? { name: literal(argument(node, 0)), typeOnly: false } : undefined;
    case "NewExpression":
      return besideThis(node);
    default:
      return undefined;
  }
}

function onlyTypes(node: Node): boolean {
  const parts = [node, ...((node["specifiers"] ?? []) as Node[])].map((one) => one["importKind"] ?? one["exportKind"]);
  return parts[0] === "type" || (parts.length > 1 && parts.slice(1).every((kind) => kind === "type"));
}

function namesTaken(node: Node): string[] {
  const parts = (node["specifiers"] ?? []) as Node[];
  return parts.flatMap(
    (part) => nameOf(part["imported"] ?? (node.type === "ImportDeclaration" ? undefined : part["local"])) ?? [],
  );
}

/** `new URL("x.ts", import.meta.url)` names code that something starts. */
function besideThis(node: Node): { name: string; typeOnly: boolean } | undefined {
  const name = literal(argument(node, 0));
  const beside = (argument(node, 1)?.["object"] as Node | undefined)?.type === "MetaProperty";
  if (nameOf(node["callee"]) !== "URL" || name?.endsWith(".ts") !== true || !beside) return undefined;
  return { name: name.startsWith(".") ? name : `./${name}`, typeOnly: false };
}

function nameOf(node: unknown): string | undefined {
  return (node as { name?: string } | undefined)?.name;
}

function argument(node: Node, place: number): Node | undefined {
  return (node["arguments"] as Node[])[place];
}

function literal(node: unknown): string | undefined {
  const value = (node as Node | undefined)?.["value"];
  return typeof value === "string" ? value : undefined;
}

function target(from: string, name: string): { of: string; file: boolean } {
  if (name.startsWith(".")) return { of: join(dirname(from), name), file: true };
  const [pack = name] = name.startsWith("node:") ? [name] : (/^(?:@[^/]+\/)?[^/]+/.exec(name) ?? []);
  return { of: pack, file: false };
}

/** The SQL of a tagged template, or of `db.unsafe()`; undefined where the node is neither. */
function sqlOf(node: Node): string | undefined {
  if (node.type === "TaggedTemplateExpression") return templateText(node["quasi"] as Node);
  if (node.type !== "CallExpression" || nameOf((node["callee"] as Node)["property"]) !== "unsafe") return undefined;
  const text = argument(node, 0);
  return text?.type === "TemplateLiteral" ? templateText(text) : (literal(text) ?? "table $");
}

/** A hole is a `$`, but for `db("name")`, which is that name. */
function templateText(quasi: Node): string {
  const texts = (quasi["quasis"] as Node[]).map((part) => (part["value"] as { cooked: string }).cooked);
  const holes = (quasi["expressions"] as Node[]).map(
    (hole) => literal((hole["arguments"] as Node[] | undefined)?.[0]) ?? "$",
  );
  return texts.map((text, at) => text + (holes[at] ?? "")).join("");
}
