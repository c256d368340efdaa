import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { Failed } from "../../lib/terminal/command.ts";
import type { Give, Given } from "../../lib/wiring/give-key.ts";
import { logsOf, ours, stackOf, type Target, valueOfTarget } from "./target.ts";

/** Whether callers of a stage show keys. */
export function takesKeys(target: Target): boolean {
  return valueOfTarget(target, "authorization") === "KEYS";
}

/** Has a stage give a key. Throws Failed where it cannot. */
export async function askForKey(target: Target, give: Give): Promise<Given> {
  const lambda = new LambdaClient({ region: target.region, maxAttempts: 1 });
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({ FunctionName: `${stackOf(target)}-give-key`, Payload: JSON.stringify({ give }) }),
  );
  const text = Payload === undefined ? "null" : Buffer.from(Payload).toString("utf8");
  if (FunctionError === undefined) return JSON.parse(text) as Given;
  const { errorMessage = text } = JSON.parse(text) as { errorMessage?: string };
  throw new Failed(`No key was given: ${errorMessage}\nIts log: ${logsOf(target, "give-key")}`);
}

/** Gives the first owner its key where the team has none, and prints it, this once. */
export async function tellFirstKey(target: Target): Promise<void> {
  if (!takesKeys(target)) return;
  const given = await askForKey(target, "first");
  if (given === null) return;
  tell(given.key);
  console.log(`  Lost, it is replaced by: ${ours(target, "key")}`);
}

/** Gives the first owner another key in place of the one it had, and prints it. */
export async function replaceFirstKey(target: Target): Promise<void> {
  if (!takesKeys(target)) throw new Failed(`Callers of ${target.stage.name} sign their requests: it takes no keys.`);
  tell((await askForKey(target, "first-again"))?.key ?? "");
}

function tell(key: string): void {
  console.log(`\nThe key of the first owner, which is shown this once: ${key}`);
  console.log("  Send it as Authorization: Bearer KEY. Make one for each caller with it: POST /keys");
}
