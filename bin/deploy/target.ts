import { GetParametersCommand, type Parameter, SSMClient } from "@aws-sdk/client-ssm";
import { parameters } from "../../deploy/parameters.ts";
import { isVersioned, referencesIn, type Ssm, withTexts } from "../../deploy/ssm.ts";
import { faultsOfCa, faultsOfUrl, type Stage, valueOf } from "../../deploy/stage.ts";
import { Failed } from "../../lib/terminal/command.ts";

/** What a command of the deployment is for. */
export type Target = {
  stage: Stage;
  region: string;
  /** As they were given: name=value. */
  params: readonly string[];
};

/** The options that name it to the framework, and to whoever types the next command. */
export function flagsOf({ stage, region }: Target): string[] {
  return ["--stage", stage.name, "--region", region];
}

/** The framework's command that shows the log of a function, whole. */
export function logsOf(target: Target, name: string): string {
  return `npx serverless logs -f ${name} ${flagsOf(target).join(" ")}`;
}

/** A command of ours for this stage, whole: to be printed and typed. */
export function ours(target: Target, words = ""): string {
  const told = [...(words === "" ? [] : [words]), ...flagsOf(target)];
  return ["npm run deploy --", ...told, ...target.params.map((param) => `--param ${quoted(param)}`)].join(" ");
}

/** An argument as a shell takes it. */
export function quoted(argument: string): string {
  return /^[\w./:=@,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", String.raw`'\''`)}'`;
}

/** What a parameter is at this stage, as far as no SSM has to be asked. */
export function valueOfTarget({ stage }: Target, name: string): string {
  return valueOf(stage, name) ?? "";
}

/** As the framework names the stack of a stage. */
export function stackOf({ stage }: Target): string {
  return `waybill-${stage.name}`;
}

/** What the parameters of a stage are, once SSM has been asked. */
export type Resolved = {
  ssm: Ssm;
  /** The text that a parameter stands for. */
  textOf: (name: string) => string;
};

/**
 * Reads the SSM parameters that a stage refers to. Throws Failed with the commands that make those that are missing, and where the
 * connection string is none.
 */
export async function resolve(target: Target): Promise<Resolved> {
  const { stage, region } = target;
  const asked = new Set(parameters.flatMap(({ name }) => referencesIn(valueOf(stage, name) ?? "")));
  const found = await ask(new SSMClient({ region }), [...asked]);
  const missing = [...asked].filter((path) => !found.has(path));
  if (missing.length > 0) throw new Failed(missingText(target, missing));
  const secure = [...found].filter(([, { Type }]) => Type === "SecureString").map(([path]) => path);
  if (secure.length > 0) {
    throw new Failed(
      `${secure.join(" and ")} is a SecureString, which is not decrypted here. It holds no secret: ` +
        `store it as a String.\n${secure.map((path) => deleteCommand(region, path) + putCommand(region, path, "…")).join("\n")}`,
    );
  }
  const ssm = Object.fromEntries([...found].map(([path, { Value = "" }]) => [path, Value]));
  const textOf = (name: string) => withTexts(valueOf(stage, name) ?? "", ssm);
  const [fault] = [...faultsOfUrl(textOf("databaseUrl")), ...faultsOfCa(textOf("databaseUrl"), textOf("databaseCa"))];
  if (fault !== undefined) throw new Failed(`The connection string ${valueOf(stage, "databaseUrl")} ${fault}.`);
  return { ssm, textOf };
}

/** By the name that they were asked for. */
async function ask(ssm: SSMClient, names: string[]): Promise<Map<string, Parameter>> {
  const found = new Map<string, Parameter>();
  for (let from = 0; from < names.length; from += 10) {
    const Names = names.slice(from, from + 10);
    const { Parameters = [] } = await ssm.send(new GetParametersCommand({ Names })).catch((cause: Error) => {
      throw new Failed(`SSM did not answer: ${cause.message}`, { cause });
    });
    for (const parameter of Parameters) found.set(`${parameter.Name}${parameter.Selector ?? ""}`, parameter);
  }
  return found;
}

function missingText(target: Target, paths: string[]): string {
  const { region, stage } = target;
  return [
    `These SSM parameters are missing in ${region}:`,
    ...paths.map((path) => (isVersioned(path) ? historyCommand(region, path) : putCommand(region, path, "…"))),
    paths.every(isVersioned)
      ? `Say a version that there is in ${stage.file}, then: ${ours(target)}`
      : `Put them there, say others in ${stage.file}, or have them made: ${ours(target, "--create-secrets")}`,
    "The connection string carries no password; the secret holds it.",
  ].join("\n");
}

/** SSM does not change the type of a parameter that is there. */
function deleteCommand(region: string, path: string): string {
  return `  aws ssm delete-parameter --region ${region} --name ${path} &&\n`;
}

/** A version cannot be put; those that there are can be seen. */
function historyCommand(region: string, reference: string): string {
  const [path = "", version] = reference.split(":");
  const see = `aws ssm get-parameter-history --region ${region} --name ${path} --query Parameters[].Version`;
  return `  version ${version} of ${path}; those that there are: ${see}`;
}

function putCommand(region: string, path: string, value: string): string {
  return `  aws ssm put-parameter --region ${region} --type String --name ${path} --value ${value}`;
}
