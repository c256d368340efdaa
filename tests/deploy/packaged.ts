import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { inflateRawSync } from "node:zlib";
import { LOCK } from "../../bin/deploy/alone.ts";
import type { Template as Deployed } from "../../bin/deploy/changes.ts";
import { type Ssm } from "../../deploy/ssm.ts";
import { departures, readStage } from "../../deploy/stage.ts";
import { SSM_VARIABLE } from "../../deploy/stage-plugin.ts";
import { takeLock } from "../../lib/terminal/file-lock.ts";

export type Resource = { Type: string; Properties: Record<string, any>; DependsOn?: string | string[] };
export type Template = { Resources: Record<string, Resource>; Outputs: Record<string, unknown> };

const DONE = ".serverless/serverless-state.json";
/** What CloudFormation gets, in the folder of a package. */
export const TEMPLATE = "cloudformation-template-update-stack.json";
const SOURCES = ["serverless.yml", "package-lock.json", "agents", "deploy", "docs", "functions", "lib", "migrations"];

/** Runs `serverless` in a folder, as npm scripts do. */
function serverless(cwd: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): void {
  const program = createRequire(import.meta.url).resolve("serverless/bin/serverless.js");
  // Without the credentials of this machine and without a region: packaging must need neither.
  const env = { PATH: process.env["PATH"], HOME: process.env["HOME"], ...more };
  execFileSync(process.execPath, [program, ...args], { cwd, env, stdio: "pipe" });
}

/** Packages the service into .serverless unless that has been done since the sources changed; one test file at a time. */
export async function packageService(): Promise<void> {
  let lock = takeLock(LOCK);
  for (; lock === undefined; lock = takeLock(LOCK)) await sleep(100);
  try {
    if (timeOf(DONE) < Math.max(...SOURCES.map(newest)) || !isUsual()) serverless(".", ["package"]);
  } finally {
    lock.release();
  }
}

/**
 * Packages another stage with these parameters, and what SSM is said to hold, in a copy of the project at `folder`, which may have files of its own, for the framework
 * empties .serverless whatever it packages into. Answers where the package is.
 */
export function packageStage(folder: string, stage: string, params: Record<string, string>, ssm: Ssm): string {
  for (const part of [...SOURCES, "localstack", "llm.config.yaml", "package.json", "tsconfig.json"]) {
    cpSync(part, join(folder, part), { recursive: true });
  }
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  const given = Object.entries(params).flatMap(([name, value]) => ["--param", `${name}=${value}`]);
  serverless(folder, ["package", "--stage", stage, ...given], { [SSM_VARIABLE]: JSON.stringify(ssm) });
  return join(folder, ".serverless");
}

function newest(path: string): number {
  if (!statSync(path).isDirectory()) return timeOf(path);
  const inside = readdirSync(path, { recursive: true }).map((name) => timeOf(join(path, String(name))));
  return Math.max(timeOf(path), ...inside);
}

/** A deployment leaves its own package behind, of another stage or with what SSM held. */
function isUsual(): boolean {
  const { service } = JSON.parse(readFileSync(DONE, "utf8")) as { service: { provider: { stage: string } } };
  const { Metadata } = JSON.parse(readFileSync(join(".serverless", TEMPLATE), "utf8")) as Deployed;
  const usual = { parameters: departures(readStage("dev")), ssm: {} };
  return service.provider.stage === "dev" && isDeepStrictEqual(Metadata?.Waybill, usual);
}

function timeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** What CloudFormation gets. */
export function readTemplate(folder = ".serverless"): Template {
  return JSON.parse(readFileSync(join(folder, TEMPLATE), "utf8")) as Template;
}

/** Where a function's code is in its zip. */
export function codeFileOf(name: string): string {
  const [file] = [...readBundle(name).keys()].filter((path) => path.endsWith(`/${name}.cjs`));
  if (file === undefined) throw new Error(`The zip of ${name} has no ${name}.cjs.`);
  return file;
}

/** The files of a function's zip, by name. */
export function readBundle(name: string, folder = ".serverless"): Map<string, Buffer> {
  const zip = readFileSync(join(folder, `${name}.zip`));
  const end = zip.lastIndexOf(Buffer.from("PK\u0005\u0006"));
  const files = new Map<string, Buffer>();
  for (let at = zip.readUInt32LE(end + 16); zip.readUInt32LE(at) === 0x02014b50; ) {
    const [method, size] = [zip.readUInt16LE(at + 10), zip.readUInt32LE(at + 20)];
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => zip.readUInt16LE(at + offset));
    const file = zip.toString("utf8", at + 46, at + 46 + (nameLength ?? 0));
    const local = zip.readUInt32LE(at + 42);
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const bytes = zip.subarray(start, start + size);
    files.set(file, method === 0 ? bytes : inflateRawSync(bytes));
    at += 46 + (nameLength ?? 0) + (extraLength ?? 0) + (commentLength ?? 0);
  }
  return files;
}
