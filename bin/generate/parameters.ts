import { stringify } from "yaml";
import { environmentOf, type Parameter, parameters } from "../../deploy/parameters.ts";
import { comment } from "./words.ts";

const MADE = "Made of deploy/parameters.ts by npm run generate; do not edit.";

/** deploy/parameters.yml: every parameter as its stage's file says it, else with its default. */
export function parametersYaml(): string {
  const lines = parameters.map(({ name, default: usual }) => {
    return `${name}: \${file(deploy/stages/\${sls:stage}.yml):${name}, ${usual === undefined ? "null" : `"${usual}"`}}`;
  });
  return [`# What can be set of a stage. ${MADE}`, ...lines, ""].join("\n");
}

/** deploy/environment.yml: the environment of every function. */
export function environmentYaml(): string {
  return `# The environment of every function. ${MADE}\n${stringify(environmentOf(), { version: "1.1", lineWidth: 0 })}`;
}

/** deploy/stages/example.yml: everything that can be set, commented out. */
export function exampleStage(): string {
  const head =
    "Everything that can be set of a stage, with its default. Copy it to deploy/stages/NAME.yml and keep that in the repository: a deploy of NAME reads it. " +
    MADE;
  const parts = parameters.map((parameter) => {
    const { name, default: usual, otherwise = "" } = parameter;
    const value = usual?.replaceAll("${sls:stage}", "NAME") ?? otherwise;
    return ["", ...comment(parameter.says), `#${name}: ${JSON.stringify(value)}`];
  });
  return `${[...comment(head), ...parts.flat()].join("\n")}\n`;
}

/** The table of docs/deploy.md. */
export function parametersTable(): string {
  const rows = parameters.map(
    (parameter) => `| \`${parameter.name}\` | ${shown(parameter)} | ${parameter.says.replaceAll("|", "\\|")} |`,
  );
  return ["| parameter | default | meaning |", "| --- | --- | --- |", ...rows, ""].join("\n");
}

function shown({ default: usual, otherwise = "" }: Parameter): string {
  const value = usual?.replaceAll("${sls:stage}", "STAGE") ?? otherwise;
  return value === "" ? "none" : `\`${value}\``;
}
