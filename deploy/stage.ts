import { readFileSync } from "node:fs";
import { closest, distance } from "fastest-levenshtein";
import { ConfigError } from "../lib/errors.ts";
import { describeIssue, faultsOf } from "../lib/input/faults.ts";
import { readYaml } from "../lib/input/yaml.ts";
import { hasNoEmptyPort } from "../lib/runtime/postgres/db.ts";
import { checksByCa, isTlsUnsaid, sslmodeOf, tlsFault } from "../lib/runtime/postgres/tls.ts";
import { type Parameter, parameterOf, parameters } from "./parameters.ts";

/** What is said of a stage, by parameter: what its file says, and over it what the command line does. */
export type Stage = {
  name: string;
  /** Its file, whether or not it is there. */
  file: string;
  hasFile: boolean;
  said: Record<string, string>;
};

const byName = new Map(parameters.map((parameter) => [parameter.name, parameter]));

/** What the names of a stack, of its functions (64 characters) and of its queues' prefix (40) take. */
const STAGE_NAME = /^[A-Za-z0-9][A-Za-z0-9-]{0,31}$/;

/**
 * Reads deploy/stages/NAME.yml, where there is one, and `params` (name=value) over it. Throws a ConfigError with everything that is
 * wrong: a name that no stage can have, an unknown one of a parameter with the nearest that is known, a value that its parameter does not
 * take, what does not go together.
 */
export function readStage(name: string, params: readonly string[] = [], folder = "deploy/stages"): Stage {
  if (!STAGE_NAME.test(name) || name === "example") {
    throw new ConfigError(
      `No stage can be named ${JSON.stringify(name)}: it must be 1 to 32 letters, digits and -, and not example, whose file is a pattern.`,
    );
  }
  const file = `${folder}/${name}.yml`;
  const faults: string[] = [];
  const text = readFile(file);
  const said = { ...fromFile(file, text ?? "", faults), ...fromCommandLine(params, faults) };
  if (faults.length === 0) faults.push(...together(said));
  if (faults.length > 0) throw new ConfigError(faults.join("\n"));
  return { name, file, hasFile: text !== undefined, said };
}

/** What a parameter is at this stage: as it was said, else its default; undefined where the code's own default counts. */
export function valueOf({ name: stage, said }: Pick<Stage, "name" | "said">, name: string): string | undefined {
  return said[name] ?? byName.get(name)?.default?.replaceAll("${sls:stage}", stage);
}

/** What is said of a stage that is not the default: what the next deploy must say again, or take back by saying another. */
export function departures({ name: stage, said }: Pick<Stage, "name" | "said">): Record<string, string> {
  const usual = (name: string) => valueOf({ name: stage, said: {} }, name) ?? "";
  return Object.fromEntries(Object.entries(said).filter(([name, value]) => value !== usual(name)));
}

function readFile(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
}

function fromFile(file: string, text: string, faults: string[]): Record<string, string> {
  const read = readYaml(text);
  if (!read.ok) {
    for (const { line, column, message } of read.faults) faults.push(`${file}:${line}:${column}: it ${message}.`);
    return {};
  }
  // A file of comments alone.
  if (read.value === null || read.value === undefined) return {};
  if (typeof read.value !== "object" || Array.isArray(read.value)) {
    faults.push(`${file} must be lines of name: value.`);
    return {};
  }
  const entries = Object.entries(read.value).map(([name, value]) => {
    const { line, column } = read.placeOf([name]);
    return [name, check(`${file}:${line}:${column}`, name, value, faults)] as const;
  });
  return Object.fromEntries(entries);
}

function fromCommandLine(params: readonly string[], faults: string[]): Record<string, string> {
  const entries = params.map((param) => {
    const [, name, value = ""] = /^(\w+)=(.*)$/s.exec(param) ?? [];
    if (name === undefined) faults.push(`--param ${param} is not name=value.`);
    // The framework takes no empty value on its command line.
    else if (value === "")
      faults.push(`--param ${name}= is empty. To set nothing, write it into the stage's file: ${name}: ""`);
    return [name ?? "", name === undefined || value === "" ? "" : check("--param", name, value, faults)] as const;
  });
  return Object.fromEntries(entries);
}

/** The value as a text; what is wrong with it or its name is added to `faults`. */
function check(where: string, name: string, value: unknown, faults: string[]): string {
  const parameter = byName.get(name);
  const text = textOf(value);
  if (parameter === undefined) faults.push(`${where}: ${unknown(name)}`);
  else if (text === undefined) faults.push(`${where}: ${name} must be one value.`);
  // The framework takes a list for no variable of an environment.
  else if (Array.isArray(value) && !parameter.many)
    faults.push(`${where}: ${name} must be one value, not a list; write ${name}: ${JSON.stringify(text)}.`);
  else faults.push(...faultsIn(parameter, text).map((fault) => `${where}: ${name} ${fault}.`));
  return text ?? "";
}

/** A value as a text: a list is its members with commas between them, nothing is an empty one; undefined: an object is no value. */
export function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(textOf).join(",");
  if (typeof value === "string") return value;
  return typeof value === "object" ? undefined : JSON.stringify(value);
}

function unknown(name: string): string {
  if (/(api_?key|password|secret|token)$/i.test(name) && !byName.has(name)) {
    return `${name} is a secret, and belongs into Secrets Manager: npm run deploy -- --create-secrets`;
  }
  const asked = parameterOf(name);
  const nearest = closest(asked, [...byName.keys()]);
  const meant = distance(asked, nearest) <= asked.length / 2 ? ` Did you mean ${nearest}?` : "";
  return `${name} cannot be set.${meant} deploy/stages/example.yml has everything that can.`;
}

function faultsIn({ name, takes }: Parameter, text: string): string[] {
  // What only AWS or the framework can resolve is known later.
  if (text.includes("{{resolve:") || text.includes("${")) return [];
  if (text === "" && byName.get(name)?.default === undefined) return [];
  const read = takes.safeParse(text, { error: describeIssue });
  if (!read.success) return faultsOf(read.error).map(({ message }) => message);
  return name === "databaseUrl" ? faultsOfUrl(text) : [];
}

/** What is wrong with a connection string of a deployment: it carries no password, and says what of TLS it wants. */
export function faultsOfUrl(text: string): string[] {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol)) {
    return ["must be a connection string, such as postgres://user@host:5432/database?sslmode=verify-full"];
  }
  if (!hasNoEmptyPort(text)) {
    return ["has a colon without a port behind its host; write host:5432, or the host alone"];
  }
  if (url.password !== "") {
    return ["carries a password; take it out and keep it in the secret that databaseSecretArn names"];
  }
  if (isTlsUnsaid(text)) {
    return [
      "does not say whether the connection is encrypted; add ?sslmode=verify-full (or sslmode=disable, for plain text)",
    ];
  }
  const fault = tlsFault(text);
  return fault === undefined ? [] : [fault];
}

/** What is wrong with a connection string beside a CA: without being encrypted there is nothing that it could check. */
export function faultsOfCa(url: string, ca: string): string[] {
  if (ca === "" || checksByCa(url)) return [];
  return [`has sslmode=${sslmodeOf(url)} beside databaseCa, which checks nothing; end it with ?sslmode=verify-full`];
}

function together(said: Record<string, string>): string[] {
  if (said["network"] !== "vpc") return [];
  return ["subnetIds", "securityGroupIds"].flatMap((name) =>
    said[name]
      ? []
      : [`network: vpc needs ${name}, such as ${name}: ${name === "subnetIds" ? "subnet-1,subnet-2" : "sg-1"}`],
  );
}
