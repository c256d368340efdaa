// npm run deploy -- --stage NAME --region REGION [--param name=value …] [--dry-run]
// Deploys in this order, and stops where a step fails: package, check, deploy, migrate. New functions may meet the old
// schema for the seconds between the last two, so a migration must suit both: add first, remove in a later deployment.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
import { faultsOfUrl, readStage } from "../../deploy/stage.ts";
import { asArgument, command, Failed, WrongUse } from "../../lib/terminal/command.ts";

type Step = { name: string; args: string[]; onFailure: string };

/** The commands of a deployment in their order, each with what to do when it fails. */
export function stepsOf(options: { stage: string; region: string; params: string[] }): Step[] {
  const target = ["--stage", options.stage, "--region", options.region];
  const params = options.params.flatMap((param) => ["--param", param]);
  return [
    {
      name: "package",
      args: ["package", ...target, ...params],
      onFailure: "Nothing was deployed. Mend what it names and start again.",
    },
    {
      name: "deploy",
      args: ["deploy", "--package", ".serverless", ...target, ...params],
      onFailure: "CloudFormation has rolled back to the version before, and no migration ran. Mend it and start again.",
    },
    {
      name: "migrate",
      args: ["invoke", "--function", "migrate", "--data", '{"command":"up"}', ...target],
      onFailure:
        "The new functions are up, the schema is as before. Look into the function's log (serverless logs -f migrate), " +
        'mend it, and start again or run only: serverless invoke -f migrate -d \'{"command":"up"}\'',
    },
  ];
}

/** The names of the SSM parameters that CloudFormation will read during the deploy of a template. */
export function parametersOf(template: string): string[] {
  return [...new Set([...template.matchAll(/\{\{resolve:ssm:([^}]+?)(?::\d+)?\}\}/g)].map(([, name]) => name ?? ""))];
}

/** Runs the steps one after another, with `check` once packaging has told what the template asks for. Throws what to do. */
export async function deploy(
  steps: Step[],
  run: (args: string[]) => Promise<number>,
  check: () => Promise<void>,
): Promise<void> {
  for (const { name, args, onFailure } of steps) {
    const code = await run(args);
    if (code !== 0) throw new Failed(`${name} failed (exit code ${code}). ${onFailure}`);
    if (name === "package") await check();
  }
}

function quoted(argument: string): string {
  return /^[\w./:=@,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", String.raw`'\''`)}'`;
}

async function serverless(args: string[]): Promise<number> {
  console.log(`\n— serverless ${args.map(quoted).join(" ")}`);
  const program = createRequire(import.meta.url).resolve("serverless/bin/serverless.js");
  const child = spawn(process.execPath, [program, ...args], { stdio: "inherit" });
  return await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}

async function checkCredentials(ssm: SSMClient): Promise<void> {
  try {
    await ssm.config.credentials();
  } catch (cause) {
    throw new Failed(
      "No AWS credentials were found. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run: aws sso login",
      { cause },
    );
  }
}

async function checkParameters(ssm: SSMClient, region: string): Promise<void> {
  const template = await readFile(".serverless/cloudformation-template-update-stack.json", "utf8");
  const Names = parametersOf(template);
  if (Names.length === 0) return;
  const found = await ssm.send(new GetParametersCommand({ Names })).catch((cause: Error) => {
    throw new Failed(cause.message, { cause });
  });
  const { Parameters = [], InvalidParameters = [] } = found;
  if (InvalidParameters.length > 0) {
    const put = (name: string) => `  aws ssm put-parameter --region ${region} --type String --name ${name} --value …`;
    throw new Failed(
      `These SSM parameters are missing in ${region}:\n${InvalidParameters.map(put).join("\n")}\n` +
        "Put them there, or give the values: npm run deploy -- --param databaseUrl=… --param databaseSecretArn=…\n" +
        "The connection string carries no password; the secret holds it.",
    );
  }
  for (const { Name, Value = "" } of Parameters) {
    if (!Name?.endsWith("/database-url")) continue;
    const [fault] = faultsOfUrl(Value);
    if (fault !== undefined) throw new Failed(`${Name} ${fault}.`);
  }
}

const usage = `Usage: npm run deploy -- --stage NAME --region REGION [--param name=value …] [--dry-run]

Packages, checks that the stage's parameters are there, deploys and migrates, and stops where a step fails. --dry-run prints the
commands alone. Environment: AWS_REGION, and AWS credentials as the AWS CLI finds them.`;

/** As the options give it; throws WrongUse with what is missing. */
function readTarget(stage: string | undefined, region: string, params: string[]) {
  if (stage === undefined) throw new WrongUse("Which stage? Say --stage dev, for example.");
  if (region === "") throw new WrongUse("Which region? Say --region eu-central-1, for example, or set AWS_REGION.");
  asArgument(() => readStage(stage, params));
  return { stage, region, params };
}

async function deployTo(target: ReturnType<typeof readTarget>): Promise<void> {
  const { stage, region } = target;
  const ssm = new SSMClient({ region });
  await checkCredentials(ssm);
  await deploy(stepsOf(target), serverless, () => checkParameters(ssm, region));
  console.log(
    `\nDeployed to ${stage} in ${region}. See its addresses with: serverless info --stage ${stage} --region ${region}`,
  );
}

if (import.meta.main) {
  process.exitCode = await command({
    usage,
    options: {
      stage: { type: "string" },
      region: { type: "string", default: process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"] ?? "" },
      param: { type: "string", multiple: true, default: [] },
      "dry-run": { type: "boolean", default: false },
    },
    run: async ({ values }) => {
      const target = readTarget(values.stage, values.region, values.param);
      if (!values["dry-run"]) return await deployTo(target);
      for (const { args } of stepsOf(target)) console.log(`serverless ${args.map(quoted).join(" ")}`);
    },
  });
}
