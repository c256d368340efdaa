import { Failed } from "../../lib/terminal/command.ts";
import { changesBetween, tellChanges } from "./changes.ts";
import { checkCredentials } from "./checks.ts";
import { isOf, keptDeploys } from "./kept.ts";
import { refuseLoss } from "./queues.ts";
import { serverless } from "./serverless.ts";
import { deployedTemplate, needStack, type Stack } from "./stack.ts";
import { flagsOf, ours, type Target } from "./target.ts";

/**
 * Brings functions, queues and parameters of a stage back to an earlier deploy, by its timestamp; the schema stays. Without one lists the
 * deploys that are kept. Throws Failed where there is no such deploy, and where messages would be lost that nobody has given up.
 */
export async function rollback(target: Target, to: string | undefined, yes: boolean): Promise<Stack | undefined> {
  await checkCredentials(target);
  const stack = await needStack(target);
  const kept = await keptDeploys(target, stack);
  if (to === undefined) {
    if (kept.length === 0) throw new Failed(`No deploy of ${stack.name} is kept. Deploy: ${ours(target)}`);
    const deployed = await deployedTemplate(target);
    console.log(`Deploys of ${stack.name} that are kept, the latest last:`);
    for (const { timestamp, at } of kept)
      console.log(`  ${timestamp}  ${at}${isOf(target, timestamp, deployed) ? "  deployed now" : ""}`);
    console.log(`Back to one of them: ${ours(target, "rollback --to TIMESTAMP")}`);
    return undefined;
  }
  const deploy = kept.find(({ timestamp, at }) => timestamp === to || at === to);
  if (deploy === undefined)
    throw new Failed(`There is no deploy ${to}. See those that are kept: ${ours(target, "rollback")}`);
  const changes = changesBetween(await deployedTemplate(target), await deploy.template());
  console.log(`What changes of ${stack.name}; its schema stays as it is:`);
  for (const line of tellChanges(changes)) console.log(line);
  console.log(`  the functions' code is that of ${deploy.at}`);
  await refuseLoss(target.region, changes.queuesLost, yes, ours(target, `rollback --to ${to} --yes`));
  const code = await serverless(["rollback", "--timestamp", deploy.timestamp, ...flagsOf(target)]);
  if (code !== 0)
    throw new Failed(`rollback failed (exit code ${code}). See how the stack stands: ${ours(target, "info")}`);
  return await needStack(target);
}
