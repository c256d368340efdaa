import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BuildOptions } from "esbuild";
import { parse } from "yaml";

/** How serverless.yml bundles the functions: the same options, but for those that are the plugin's own. */
export function bundling(): BuildOptions {
  const text = readFileSync(join(import.meta.dirname, "..", "serverless.yml"), "utf8");
  const { outputFileExtension, exclude, ...options } = parse(text, { logLevel: "error" }).custom.esbuild;
  return { ...options, outExtension: { ".js": outputFileExtension } };
}
