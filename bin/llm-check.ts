// npm run llm:check reads the LLM configuration and tells every fault of it at once, with the line.
import { readFile } from "node:fs/promises";
import { priced } from "../lib/llm/config/prices.ts";
import { parseWithSecrets } from "../lib/llm/config/secrets.ts";

const path = process.argv[2] ?? (process.env["LLM_CONFIG"] || "llm.config.yaml");
const secrets = hasSecretsManager();
const text = await readFile(path, "utf8").catch((error: unknown): never => {
  console.error(`${path} cannot be read: ${(error as Error).message}\nName another: npm run llm:check -- FILE`);
  process.exit(1);
});

const parsed = await parseWithSecrets(text, { env: process.env, secrets, priced }, async (name) => {
  const { secret } = await import("../lib/runtime/aws/secrets.ts");
  return await secret(name);
});
for (const { line, message } of parsed.warnings) console.warn(`${path}:${line}  warning: ${message}`);
const faults = parsed.ok ? [] : parsed.faults;
for (const { line, message } of faults) console.error(`${path}:${line}  ${message}`);
if (faults.length > 0) {
  console.error(`${faults.length} ${faults.length === 1 ? "fault" : "faults"}. See docs/llm.md.`);
  process.exitCode = 1;
} else if (parsed.ok) {
  const { models, chains } = parsed.config;
  for (const chain of chains.values())
    console.log(`${chain.name}: ${chain.models.map(({ name }) => name).join(" → ")}`);
  console.log(`${path} is sound: ${models.size} models, ${chains.size} chains.`);
}

/** Asked only where an answer can come from: with a region and credentials of some kind. */
function hasSecretsManager(): boolean {
  const { AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_SECRETS_MANAGER } =
    process.env;
  if (AWS_ENDPOINT_URL || AWS_ENDPOINT_URL_SECRETS_MANAGER) return true;
  return Boolean(AWS_REGION && (AWS_PROFILE || AWS_ACCESS_KEY_ID));
}
