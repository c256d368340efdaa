import { CloudFormationClient, paginateListStackResources } from "@aws-sdk/client-cloudformation";
import { IAMClient, paginateListEntitiesForPolicy } from "@aws-sdk/client-iam";
import { paginateListQueues, SQSClient } from "@aws-sdk/client-sqs";
import { Failed } from "../../lib/terminal/command.ts";
import { confirmByName } from "../../lib/terminal/confirm.ts";
import { checkCredentials } from "./checks.ts";
import { tellMessages } from "./queues.ts";
import { serverless } from "./serverless.ts";
import { deleteSmokeQueues, smokeQueuesOf } from "./smoke.ts";
import { asDeployed, needStack, type Stack } from "./stack.ts";
import { flagsOf, ours, type Target, valueOfTarget } from "./target.ts";

/**
 * Takes a stage away, once whoever asks for it has seen what goes and what stays, and has typed its name or said --yes. Throws Failed where
 * the stack is protected, or where policies of it are still attached, with the commands that detach them.
 */
export async function remove(asked: Target, yes: boolean): Promise<void> {
  await checkCredentials(asked);
  const stack = await needStack(asked);
  const target = await asDeployed(asked);
  if (stack.protected) {
    throw new Failed(
      `${stack.name} is protected. Say deletionProtection: false in ${target.stage.file}, then: ${ours(target)} && ${ours(target, "remove")}`,
    );
  }
  const resources = await resourcesOf(target, stack);
  await refuseAttached(target, resources);
  await tellLoss(target, stack, resources);
  if (!yes) await confirmByName({ name: stack.name, of: "stack", otherwise: "Nothing was removed." });
  const code = await serverless(["remove", ...flagsOf(target)]);
  if (code !== 0)
    throw new Failed(`remove failed (exit code ${code}). Mend what it names, then: ${ours(target, "remove")}`);
  await deleteSmokeQueues(target);
  console.log(`\n${stack.name} is gone. ${tellWhatStays(target).join("\n")}`);
}

type StackResource = { type: string; id: string };

async function resourcesOf({ region }: Target, { name }: Stack): Promise<StackResource[]> {
  const client = new CloudFormationClient({ region });
  const all: StackResource[] = [];
  for await (const page of paginateListStackResources({ client }, { StackName: name })) {
    for (const { ResourceType: type = "", PhysicalResourceId: id = "" } of page.StackResourceSummaries ?? [])
      all.push({ type, id });
  }
  return all;
}

/** CloudFormation deletes no policy that somebody has, and stays half removed. */
async function refuseAttached(target: Target, resources: readonly StackResource[]): Promise<void> {
  const iam = new IAMClient({ region: target.region });
  const policies = resources.filter(({ type }) => type === "AWS::IAM::ManagedPolicy");
  const detach = await Promise.all(policies.map(async ({ id }) => await commandsToDetach(iam, id)));
  const commands = detach.flat();
  if (commands.length === 0) return;
  throw new Failed(
    `Policies of the stage are attached to what is none of it. Nothing was removed. Detach them:\n${commands.join("\n")}\n` +
      `Then: ${ours(target, "remove")}`,
  );
}

async function commandsToDetach(iam: IAMClient, PolicyArn: string): Promise<string[]> {
  const by = (kind: string, name: string | undefined) =>
    `  aws iam detach-${kind}-policy --${kind}-name ${name} --policy-arn ${PolicyArn}`;
  const commands: string[] = [];
  for await (const page of paginateListEntitiesForPolicy({ client: iam }, { PolicyArn })) {
    commands.push(
      ...(page.PolicyUsers ?? []).map(({ UserName }) => by("user", UserName)),
      ...(page.PolicyGroups ?? []).map(({ GroupName }) => by("group", GroupName)),
      ...(page.PolicyRoles ?? []).map(({ RoleName }) => by("role", RoleName)),
    );
  }
  return commands;
}

async function tellLoss(target: Target, { name, outputs }: Stack, resources: readonly StackResource[]): Promise<void> {
  const count = (type: string) => resources.filter((resource) => resource.type === type).length;
  const queues = resources.flatMap(({ type, id }) => (type === "AWS::SQS::Queue" ? [id.split("/").at(-1) ?? ""] : []));
  const messages = await tellMessages(target.region, queues);
  console.log(`Removing ${name} from ${target.region} takes away, for good:`);
  console.log(`  ${queues.length} queues, ${messages.length === 0 ? "all empty" : "with what lies in them:"}`);
  for (const line of messages) console.log(`  ${line}`);
  console.log(`  ${count("AWS::Logs::LogGroup")} log groups with all logs, ${count("AWS::CloudWatch::Alarm")} alarms`);
  const addresses = [outputs["HttpApiUrl"], outputs["LlmStreamUrl"]].filter((address) => address !== undefined);
  if (addresses.length > 0) console.log(`  the addresses ${addresses.join(" and ")}`);
  for (const line of await tellOtherQueues(target, queues)) console.log(line);
  for (const line of tellWhatStays(target)) console.log(line);
}

/** Queues of agents that somebody made by hand are none of the stack. */
async function tellOtherQueues(target: Target, own: readonly string[]): Promise<string[]> {
  const client = new SQSClient({ region: target.region });
  const QueueNamePrefix = `${valueOfTarget(target, "prefix")}-agent-`;
  const names: string[] = [];
  for await (const page of paginateListQueues({ client, pageSize: 1000 }, { QueueNamePrefix })) {
    names.push(...(page.QueueUrls ?? []).map((url) => url.split("/").at(-1) ?? ""));
  }
  const known = [...own, ...smokeQueuesOf(target)];
  const others = names.filter((name) => !known.includes(name));
  return others.length === 0 ? [] : [`Queues of agents that are none of the stack stay: ${others.join(", ")}`];
}

function tellWhatStays(target: Target): string[] {
  return [
    `The database stays with all work in it, and so do SSM parameters and secrets of the stage (/waybill/${target.stage.name}/…).`,
  ];
}
