// npm run llm:check reads the LLM configuration and tells every fault of it at once, with the line.
import { readFile } from "node:fs/promises";
import { priced } from "../lib/llm/config/prices.ts";
import { parseWithSecrets } from "../lib/llm/config/secrets.ts";
import { secret } from "../lib/runtime/aws/secrets.ts";
import { command, Failed, WrongUse } from "../lib/terminal/command.ts";

const usage = `Usage: npm run llm:check -- [FILE]

Prints each fault of the LLM configuration as file:line, or its chains where it is sound. FILE is that of LLM_CONFIG, or else
llm.config.yaml. Secrets are looked up where Secrets Manager can be asked.`;

process.exitCode = await command({
  usage,
  positionals: true,
  run: async ({ positionals: [file = process.env["LLM_CONFIG"] || "llm.config.yaml", ...more] }) => {
    if (more.length > 0) throw new WrongUse(`One file at a time, not also ${more.join(" ")}.`);
    return await check(file);
  },
});

/** Prints what is wrong with a file, or what is in it; answers the exit code. */
async function check(path: string): Promise<number> {
  const text = await readFile(path, "utf8").catch((cause: Error) => {
    throw new Failed(`${path} cannot be read: ${cause.message}\nName another: npm run llm:check -- FILE`, { cause });
  });
  const around = { env: process.env, secrets: hasSecretsManager(), priced };
  const parsed = await parseWithSecrets(text, around, (name) => secret(name));
  for (const { line, message } of parsed.warnings) console.warn(`${path}:${line}  warning: ${message}`);
  if (!parsed.ok) {
    const { faults } = parsed;
    for (const { line, message } of faults) console.error(`${path}:${line}  ${message}`);
    console.error(`${faults.length} ${faults.length === 1 ? "fault" : "faults"}. See docs/llm.md.`);
    return 1;
  }
  const { models, chains } = parsed.config;
  for (const chain of chains.values()) {
    console.log(`${chain.name}: ${chain.models.map(({ name }) => name).join(" → ")}`);
  }
  console.log(`${path} is sound: ${models.size} models, ${chains.size} chains.`);
  return 0;
}

/** Asked only where an answer can come from: with a region and credentials of some kind. */
function hasSecretsManager(): boolean {
  const { AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_SECRETS_MANAGER } =
    process.env;
  if (AWS_ENDPOINT_URL || AWS_ENDPOINT_URL_SECRETS_MANAGER) return true;
  return Boolean(AWS_REGION && (AWS_PROFILE || AWS_ACCESS_KEY_ID));
}
