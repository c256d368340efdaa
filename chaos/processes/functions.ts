import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, type ScalarTag } from "yaml";
import { type HttpRoute, takeHttpRoutes } from "../../localstack/functions/http-routes.ts";
import { queueEvents, type Service } from "../../localstack/functions/serverless-service.ts";

/** A function of serverless.yml: its file from the project's root, and its timeout. */
export type FunctionOf = { name: string; file: string; timeoutMs: number };

/** What of serverless.yml a run needs. */
export type Functions = {
  byKey: Record<string, FunctionOf>;
  routes: HttpRoute[];
  /** The queues that wake functions, by their resource. */
  queues: { functionName: string; resource: string; batchSize: number; concurrency: number }[];
};

// CloudFormation's short forms are read as what local functions make of them.
const GetAtt: ScalarTag = { tag: "!GetAtt", resolve: (text: string) => ({ "Fn::GetAtt": text.split(".") }) };
const others: ScalarTag[] = ["!Ref", "!Sub"].map((tag) => ({ tag, resolve: (text: string) => text }));

/** Reads serverless.yml and deploy/http.yml under `root`. */
export function readFunctions(root: string): Functions {
  const read = (file: string) =>
    parse(readFileSync(join(root, file), "utf8"), { merge: true, customTags: [GetAtt, ...others], logLevel: "error" });
  const whole = read("serverless.yml") as {
    provider: { timeout: number };
    functions: (string | Service["functions"])[];
  };
  const http = read("deploy/http.yml") as { functions: Service["functions"] };
  const functions = Object.assign({}, http.functions, ...whole.functions.filter((part) => typeof part !== "string"));
  const named = Object.fromEntries(
    Object.entries(functions as Service["functions"]).map(([key, fn]) => [key, { ...fn, name: key }]),
  );
  const service = { provider: { region: "", timeout: whole.provider.timeout }, functions: named } as Service;
  const routes = takeHttpRoutes(service);
  const byKey = Object.fromEntries(
    Object.entries(named).map(([name, { handler = "", timeout = whole.provider.timeout }]) => [
      name,
      { name, file: handler.replace(/\.handler$/, ".ts"), timeoutMs: timeout * 1000 },
    ]),
  );
  return { byKey, routes, queues: queueEvents(service) };
}
