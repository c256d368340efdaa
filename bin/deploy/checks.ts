import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { GetAccountSettingsCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { DescribeSecretCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { SSMClient } from "@aws-sdk/client-ssm";
import { isVersioned, referencesIn } from "../../deploy/ssm.ts";
import { Unavailable } from "../../lib/errors.ts";
import { secretsIn } from "../../lib/llm/config/references.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { isConnectionError, isPasswordRefused, isTlsRefused } from "../../lib/runtime/postgres/db-errors.ts";
import { Failed } from "../../lib/terminal/command.ts";
import { databaseIn } from "./database-name.ts";
import { ours, type Resolved, type Target, valueOfTarget } from "./target.ts";

/** What a stage needs beside its stack, looked at before anything changes. Throws Failed with what is missing and the commands that make it. */
export async function check(target: Target, resolved: Resolved, { unreached }: { unreached: boolean }): Promise<void> {
  const database = await checkDatabase(target, resolved, unreached);
  const notes = [
    ...database,
    ...tellAuthorization(target),
    ...(await checkKeys(target)),
    ...(await checkConcurrency(target)),
  ];
  console.log(`\nWhat ${target.stage.name} needs:`);
  for (const note of notes) console.log(`  ${note}`);
}

/** Throws Failed where there are no credentials. */
export async function checkCredentials({ region }: Target): Promise<void> {
  try {
    await new SSMClient({ region }).config.credentials();
  } catch (cause) {
    throw new Failed(
      "No AWS credentials were found. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run: aws sso login",
      { cause },
    );
  }
}

/** What is told of the database. Throws Failed where it is away or refuses us, unless only the functions reach it. */
export async function checkDatabase(target: Target, resolved: Resolved, unreached: boolean): Promise<string[]> {
  const { textOf } = resolved;
  const name = databaseIn(textOf("databaseUrl"));
  const way = wayTo(textOf);
  try {
    const { version, connections, encrypted } = await look(target, textOf, way);
    const how = encrypted ? "encrypted" : "plain text";
    return [`database ${name}: PostgreSQL ${version}, ${how}, ${connections} connections`, ...way.notes];
  } catch (cause) {
    const away = isConnectionError(cause) && !isTlsRefused(cause);
    if (away && (unreached || valueOfTarget(target, "network") === "vpc")) {
      return [
        `database ${name}: not reached from this machine (${reasonOf(cause)}); the migrate function will tell`,
        ...way.notes,
      ];
    }
    throw new Failed(refusalOf(target, resolved, name, cause), { cause });
  }
}

/** Why the database cannot be used, with what is to be done. */
function refusalOf(target: Target, { textOf }: Resolved, name: string, error: unknown): string {
  const reason = reasonOf(error);
  const secret = textOf("databaseSecretArn");
  const store = `aws secretsmanager put-secret-value --region ${target.region} --secret-id ${secret} --secret-string … && ${ours(target)}`;
  if (error instanceof Unavailable) {
    const { name: kind, message } = error.cause as Error;
    if (kind === "ResourceNotFoundException") return `There is no secret ${secret}. ${otherSecret(target)}`;
    if (kind === "InvalidRequestException")
      return `${reason} (${message})\nIf it is being deleted, have it back: ${restore(target.region, secret)} && ${ours(target)}`;
    if ("$metadata" in (error.cause as Error)) return `${reason} (${message})\nMend that, then: ${ours(target)}`;
    return `${reason} (${message})\nStore the right one: ${store}`;
  }
  if (isPasswordRefused(error)) {
    return `The database ${name} refuses the password of the secret. Store the right one: ${store}`;
  }
  if (isTlsRefused(error)) {
    return `${reason} For a stage DATABASE_CA is databaseCa in ${target.stage.file}. Then: ${ours(target)}`;
  }
  if (isConnectionError(error)) {
    const todo = `Mend it, or if only this machine does not reach it: ${ours(target, "--unreached")}`;
    return `The database ${name} is not reached from this machine: ${reason}. ${todo}`;
  }
  const from = valueOfTarget(target, "databaseUrl");
  return `The database ${name} refuses us: ${reason}. Mend it, or the connection string ${from}. Then: ${ours(target)}`;
}

/** --create-secrets keeps the SSM parameter that is there, and with it the ARN of a secret that is gone. */
function otherSecret(target: Target): string {
  const { region, stage } = target;
  const [path] = referencesIn(valueOfTarget(target, "databaseSecretArn"));
  if (path === undefined || isVersioned(path))
    return `Say the ARN of one that is there as databaseSecretArn in ${stage.file}, then: ${ours(target)}`;
  const forget = `aws ssm delete-parameter --region ${region} --name ${path}`;
  return `Have one made, and ${path} with it: ${forget} && ${ours(target, "--create-secrets")}`;
}

function reasonOf(error: unknown): string {
  const { message, code = "" } = error as { message: string; code?: string };
  return message || code;
}

/** How the database is reached from this machine, and what whoever deploys should know of that. */
type Way = { url: string; ca: string; notes: string[] };

/** The certificates that Lambda's runtime brings are none of this machine's: there the functions alone can check. */
function wayTo(textOf: Resolved["textOf"]): Way {
  const [url, ca] = [textOf("databaseUrl"), textOf("databaseCa")];
  if (ca === "" || existsSync(ca)) return { url, ca, notes: tellTls(url) };
  const unchecked = new URL(url);
  unchecked.searchParams.set("sslmode", "require");
  return {
    url: unchecked.href,
    ca: "",
    notes: [`its certificate is checked by the functions, which have ${ca}`, ...tellTls(url)],
  };
}

type Look = { version: string; connections: string; encrypted: boolean };

async function look({ region }: Target, textOf: Resolved["textOf"], { url, ca }: Way): Promise<Look> {
  // The client of lib/ finds its region there.
  process.env["AWS_REGION"] = region;
  const source = {
    ...process.env,
    DATABASE_URL: url,
    DATABASE_CA: ca,
    DATABASE_SECRET_ARN: textOf("databaseSecretArn"),
    DATABASE_PREPARE: textOf("databasePrepare"),
    DATABASE_STATEMENT_TIMEOUT_MS: "10000",
  };
  const db = connect(source, url, { max: 1, idle_timeout: 0, max_lifetime: null });
  try {
    const [row] = await db<Look[]>`
      select current_setting('server_version') as version, current_setting('max_connections') as connections,
        coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as encrypted
    `;
    return row ?? { version: "?", connections: "?", encrypted: false };
  } finally {
    await db.end({ timeout: 1 });
  }
}

/** What whoever deploys should know of the connection's encryption. */
function tellTls(url: string): string[] {
  const mode = new URL(url).searchParams.get("sslmode");
  if (mode === "verify-full") return [];
  if (mode === null || mode === "disable")
    return ["! sslmode=verify-full would encrypt the connection, and check whose it is"];
  if (mode === "allow" || mode === "prefer")
    return [`! sslmode=${mode} encrypts only where the server can, and checks nothing; verify-full does both`];
  return [`! sslmode=${mode} encrypts and does not check whose certificate it is; verify-full does`];
}

/** What whoever deploys should know of who may call. */
export function tellAuthorization(target: Target): string[] {
  if (valueOfTarget(target, "authorization") === "AWS_IAM")
    return ["callers: who signs, as the policies of the stage let them"];
  return ["callers: who shows a key; the first is printed once the stage has none"];
}

/** The secrets that a stage's LLM configuration names. */
export async function llmSecretsOf(target: Target): Promise<string[]> {
  const file = valueOfTarget(target, "llmConfig");
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new Failed(
      `The file ${file} of llmConfig cannot be read. Write it, or name another in ${target.stage.file}.`,
      { cause },
    );
  });
  return secretsIn(text, target.stage.name);
}

/** The command that has a secret back that is being deleted: its name is taken until it is gone. */
export function restore(region: string, secret: string): string {
  return `aws secretsmanager restore-secret --region ${region} --secret-id ${secret}`;
}

/** The ARN of a secret; null where there is none, or one that is being deleted, undefined where we may not look. */
export async function arnOfSecret(client: SecretsManagerClient, SecretId: string): Promise<string | null | undefined> {
  try {
    const { ARN, DeletedDate } = await client.send(new DescribeSecretCommand({ SecretId }));
    return DeletedDate === undefined ? ARN : null;
  } catch (error) {
    return (error as Error).name === "ResourceNotFoundException" ? null : undefined;
  }
}

async function checkKeys(target: Target): Promise<string[]> {
  const client = new SecretsManagerClient({ region: target.region });
  const names = await llmSecretsOf(target);
  const found = await Promise.all(names.map(async (name) => ({ name, arn: await arnOfSecret(client, name) })));
  const missing = found.filter(({ arn }) => arn === null).map(({ name }) => name);
  if (missing.length === 0) return [`LLM vendors: ${names.join(", ") || "no secrets named"}`];
  const some =
    missing.length < names.length ? "these vendors are left out" : "the gateway has no vendor that a Lambda reaches";
  return [`! no secret ${missing.join(" and ")}: ${some}. Make them: ${ours(target, "--create-secrets")}`];
}

/** Below it a burst of callers, dispatch, results and the sweep stand in each other's way. */
const ENOUGH = 100;

/** What is told of how many functions may run at once in the account. */
export async function checkConcurrency({ region }: Target): Promise<string[]> {
  const client = new LambdaClient({ region });
  const settings = await client.send(new GetAccountSettingsCommand({})).catch(() => undefined);
  const most = settings?.AccountLimit?.UnreservedConcurrentExecutions;
  if (most === undefined)
    return ["! how many functions may run at once could not be asked (lambda:GetAccountSettings)"];
  if (most >= ENOUGH) return [`Lambda: ${most} functions at once`];
  const raise = `aws service-quotas request-service-quota-increase --region ${region} --service-code lambda --quota-code L-B99A9384 --desired-value 1000`;
  return [
    `! Lambda: only ${most} functions at once, of which dispatch, results and the sweep take 8. Ask for more: ${raise}`,
  ];
}
