import { readFileSync } from "node:fs";

/** The Dockerfile's lines, without the comments. */
export const instructions = readFileSync("Dockerfile", "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));

/** The instructions of a stage and of those that it is built on, first ones first. */
export function stage(name: string): string[] {
  const start = instructions.findIndex((line) => line.startsWith("FROM ") && line.endsWith(` AS ${name}`));
  const rest = instructions.slice(start + 1);
  const end = rest.findIndex((line) => line.startsWith("FROM "));
  const base = instructions[start]?.split(" ")[1] ?? "";
  const own = end === -1 ? rest : rest.slice(0, end);
  return base.startsWith("node:") ? own : [...stage(base), ...own];
}
