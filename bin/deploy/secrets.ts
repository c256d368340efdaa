import { CreateSecretCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { GetParametersCommand, PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { faultsOfUrl } from "../../deploy/stage.ts";
import { Failed } from "../../lib/terminal/command.ts";
import { arnOfSecret, llmSecretsOf, restore } from "./checks.ts";
import { type Ask, withPrompt } from "./prompt.ts";
import { type Target, valueOfTarget } from "./target.ts";

/**
 * Makes what a stage lacks of its SSM parameters and secrets, from what whoever deploys answers: connection string, password, vendors' keys.
 * What is there stays as it is. An empty answer leaves a vendor out.
 */
export async function createSecrets(target: Target): Promise<void> {
  const { region, stage } = target;
  const [ssm, secrets] = [new SSMClient({ region }), new SecretsManagerClient({ region })];
  const [url, arn] = [pathIn(valueOfTarget(target, "databaseUrl")), pathIn(valueOfTarget(target, "databaseSecretArn"))];
  await withPrompt(async (ask) => {
    if (url !== undefined && !(await hasParameter(ssm, url))) {
      await put(ssm, url, await askUrl(ask));
    }
    if (arn !== undefined && !(await hasParameter(ssm, arn))) {
      const name = `waybill/${stage.name}/database`;
      const kept = await arnOfSecret(secrets, name);
      if (kept) console.log(`  kept  secret ${name}`);
      await put(ssm, arn, kept || (await makeSecret(secrets, name, await askPassword(ask))));
    }
    for (const name of await llmSecretsOf(target)) {
      if ((await arnOfSecret(secrets, name)) !== null) continue;
      const key = await ask(`The key for ${name} (empty: that vendor is left out)`, { hidden: true });
      if (key !== "") await makeSecret(secrets, name, key);
    }
  });
}

/** The SSM parameter that a value is; undefined where it is something else. */
function pathIn(value: string): string | undefined {
  return /^\{\{resolve:ssm:([^}:]+)(?::\d+)?\}\}$/.exec(value)?.[1];
}

async function hasParameter(ssm: SSMClient, name: string): Promise<boolean> {
  const { Parameters = [] } = await ssm.send(new GetParametersCommand({ Names: [name] }));
  return Parameters.length > 0;
}

async function put(ssm: SSMClient, Name: string, Value: string): Promise<void> {
  await ssm.send(new PutParameterCommand({ Name, Value, Type: "String" }));
  console.log(`  made  SSM parameter ${Name}`);
}

/** Makes a secret with this text and answers its ARN. */
async function makeSecret(client: SecretsManagerClient, Name: string, SecretString: string): Promise<string> {
  const { ARN = "" } = await client
    .send(new CreateSecretCommand({ Name, SecretString }))
    .catch(async (cause: Error) => {
      if (cause.name !== "InvalidRequestException") throw cause;
      const todo = restore(await client.config.region(), Name);
      throw new Failed(
        `The secret ${Name} cannot be made: ${cause.message}\nIf it is being deleted, have it back: ${todo}`,
        { cause },
      );
    });
  console.log(`  made  secret ${Name}`);
  return ARN;
}

async function askUrl(ask: Ask): Promise<string> {
  for (;;) {
    const url = await ask(
      "Connection string without a password (postgres://user@host:5432/database?sslmode=verify-full)",
    );
    const [fault] = faultsOfUrl(url);
    if (fault === undefined) return url;
    console.log(`  It ${fault}.`);
  }
}

async function askPassword(ask: Ask): Promise<string> {
  for (;;) {
    const password = await ask("The database's password", { hidden: true });
    if (password !== "") return password;
    console.log("  It is empty.");
  }
}
