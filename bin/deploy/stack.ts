import {
  CloudFormationClient,
  type Stack as Described,
  DescribeStacksCommand,
  GetTemplateCommand,
} from "@aws-sdk/client-cloudformation";
import { Failed } from "../../lib/terminal/command.ts";
import type { Template } from "./changes.ts";
import { ours, stackOf, type Target } from "./target.ts";

/** The stack of a stage as it stands. */
export type Stack = {
  name: string;
  status: string;
  /** When CloudFormation was last told to change it: milliseconds since 1970. */
  updated: number;
  protected: boolean;
  outputs: Record<string, string>;
};

/** The stack of a stage; undefined where there is none. */
export async function findStack(target: Target): Promise<Stack | undefined> {
  const StackName = stackOf(target);
  const found = await clientOf(target)
    .send(new DescribeStacksCommand({ StackName }))
    .catch((error: Error) => {
      if (/does not exist/.test(error.message)) return { Stacks: [] };
      throw new Failed(`CloudFormation did not answer: ${error.message}`, { cause: error });
    });
  const [stack] = (found.Stacks ?? []).filter(({ StackStatus }) => StackStatus !== "DELETE_COMPLETE");
  return stack === undefined ? undefined : ofDescribed(StackName, stack);
}

/** The stack of a stage that must be there. Throws Failed where it is not. */
export async function needStack(target: Target): Promise<Stack> {
  const stack = await findStack(target);
  if (stack !== undefined) return stack;
  throw new Failed(`There is no stack ${stackOf(target)} in ${target.region}. Is it another stage or region?`);
}

/** The stack of a stage that has been deployed whole. Throws Failed where its first deploy was cut, or rolled back: then it has no API yet. */
export async function needWhole(target: Target): Promise<Stack> {
  const stack = await needStack(target);
  if (stack.outputs["HttpApiUrl"] !== undefined) return stack;
  if (stack.status.endsWith("_IN_PROGRESS"))
    throw new Failed(`${stack.name} has no API yet (${stack.status}). Wait for its end.`);
  throw new Failed(
    `${stack.name} has no API (${stack.status}): its first deploy did not come to its end. Once more: ${ours(target)}`,
  );
}

/** The template that the stack was deployed with. */
export async function deployedTemplate(target: Target): Promise<Template> {
  const { TemplateBody = "{}" } = await clientOf(target).send(new GetTemplateCommand({ StackName: stackOf(target) }));
  return JSON.parse(TemplateBody) as Template;
}

/** The target as its stack was deployed, whatever the stage's file says meanwhile; as it is where the stack does not say. */
export async function asDeployed(target: Target): Promise<Target> {
  return asIn(target, await deployedTemplate(target));
}

/** The same by a template of its stack. */
export function asIn(target: Target, template: Template): Target {
  const said = template.Metadata?.Waybill?.parameters;
  return said === undefined ? target : { ...target, stage: { ...target.stage, said } };
}

function clientOf({ region }: Target): CloudFormationClient {
  return new CloudFormationClient({ region });
}

function ofDescribed(
  name: string,
  {
    StackStatus,
    CreationTime,
    LastUpdatedTime = CreationTime,
    EnableTerminationProtection = false,
    Outputs = [],
  }: Described,
): Stack {
  const outputs = Object.fromEntries(Outputs.map(({ OutputKey = "", OutputValue = "" }) => [OutputKey, OutputValue]));
  return {
    name,
    status: StackStatus ?? "",
    updated: LastUpdatedTime?.getTime() ?? 0,
    protected: EnableTerminationProtection,
    outputs,
  };
}
