import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { openApi } from "../../../bin/generate/openapi.ts";
import { routes } from "../../../lib/wiring/routes.ts";

/** The document that GET /openapi.json answers. */
export const document = openApi(routes) as {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
};

type Operation = { operationId: string; responses: Record<string, Response> };
type Response = { headers?: Record<string, unknown>; content?: Record<string, unknown> };

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema(document, "openapi");
const compiled = new Map<string, ValidateFunction>();

/**
 * Throws unless the answer to `method path` is one that the OpenAPI document has: its status, its content-type, its headers, and
 * its body by the schema; to HEAD the same as to GET without a body. A path that the document does not have must be answered with a problem, 404 or 405.
 */
export function expectConforms(
  method: string,
  path: string,
  answer: { status: number; headers: Record<string, string>; text: string },
): void {
  const { status, headers, text } = answer;
  const type = (headers["content-type"] ?? "").split(";")[0] ?? "";
  const fail = (why: string) => {
    throw new Error(
      `${method} ${path} answered ${status} ${type}, which is not in the document: ${why}\n${text.slice(0, 500)}`,
    );
  };
  const template = Object.keys(document.paths).find((each) => fits(each, path)) ?? "";
  const verb = method === "HEAD" ? "get" : method.toLowerCase();
  const operation = document.paths[template]?.[verb];
  if (operation === undefined) {
    if (type !== "application/problem+json" || ![404, 405].includes(status)) fail("its path and method are not");
    return check("#/components/schemas/Problem", JSON.parse(text), fail);
  }
  const known = operation.responses[status] === undefined ? `${Math.floor(status / 100)}XX` : String(status);
  const response = operation.responses[known];
  if (response === undefined) return fail("its status is not");
  const missing = Object.keys(response.headers ?? {}).filter((name) => headers[name] === undefined);
  if (missing.length > 0) fail(`the headers ${missing.join(", ")} are missing`);
  if (response.content === undefined) return text === "" ? undefined : fail("it has a body");
  if (response.content[type] === undefined) fail("its content-type is not");
  if (method === "HEAD") return text === "" ? undefined : fail("it has a body");
  if (!/[/+]json$/.test(type)) return;
  const keys = ["paths", template, verb, "responses", known, "content", type, "schema"];
  check(`#/${keys.map((key) => key.replaceAll("~", "~0").replaceAll("/", "~1")).join("/")}`, JSON.parse(text), fail);
}

/** Whether the document takes this JSON as the body of a POST to a path as it is in the document. */
export function accepts(template: string, body: unknown) {
  const keys = ["paths", template, "post", "requestBody", "content", "application/json", "schema"];
  const pointer = keys.map((key) => key.replaceAll("~", "~0").replaceAll("/", "~1")).join("/");
  return ajv.compile({ $ref: `openapi${encodeURI(`#/${pointer}`)}` })(body);
}

function check(pointer: string, value: unknown, fail: (why: string) => void): void {
  const validate = compiled.get(pointer) ?? ajv.compile({ $ref: `openapi${encodeURI(pointer)}` });
  compiled.set(pointer, validate);
  if (!validate(value)) fail(ajv.errorsText(validate.errors));
}

function fits(template: string, path: string): boolean {
  const wanted = template.split("/");
  const given = path.split("/");
  return wanted.length === given.length && wanted.every((part, at) => part.startsWith("{") || part === given[at]);
}
