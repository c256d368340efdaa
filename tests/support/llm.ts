import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type StreamUrl, serveStreamUrl } from "../../localstack/llm-stream.ts";
import { startVendor, type Vendor } from "./vendor.ts";

/** Every fault as a model of its own, and for each a chain of it and two that are well: `x-NAME`. */
const FAULTS =
  "429-once 429 500-once 503 529 reset-once reset silent context policy bad 401 quota gone flap html huge truncated slow-first cut cut-clean cut-token stall garbage error-inside error-first drip endless no-done no-done-open".split(
    " ",
  );

/** The gateway's function URL over vendors that misbehave; the configuration is set before the gateway is loaded. */
export async function startGateway(
  more: { budgets?: string; projects?: string[] } = {},
): Promise<{ gateway: StreamUrl; vendor: Vendor; key: string }> {
  const vendor = await startVendor();
  const key = `canary-key-${randomUUID()}`;
  const names = FAULTS.map((fault) => `fb-${fault}`);
  const price = "{ input: 1, output: 2 }";
  const model = (name: string, provider: string, id = name, window = 100_000) =>
    `  ${name}: { provider: ${provider}, id: ${id}, window: ${window}, can: [tools, json_schema, vision], price: ${provider === "local" ? 0 : price} }`;
  const config = [
    "providers:",
    `  vendor: { type: openai, base_url: "${vendor.url}/v1", key: "\${env:TEST_KEY}" }`,
    `  claude: { type: anthropic, base_url: "${vendor.url}", key: "\${env:TEST_KEY}" }`,
    `  local: { type: openai, base_url: "${vendor.url}/local/v1", local: true }`,
    `  nobody: { type: openai, base_url: "http://127.0.0.1:9/v1", key: "\${env:TEST_KEY}" }`,
    "models:",
    ...names.map((name) => model(name, "vendor")),
    ...names.map((name) => model(`a-${name}`, "claude", name)),
    model("ok", "vendor", "fb-ok"),
    model("big", "vendor", "fb-big", 1_000_000),
    model("a-ok", "claude", "fb-ok"),
    model("home", "local", "fb-home"),
    model("refused", "nobody", "fb-refused"),
    `  embed: { provider: vendor, id: fb-embed, window: 8000, can: [embeddings], price: ${price} }`,
    "chains:",
    ...names.map((name) => `  x-${name}: { models: [${name}, ok], promises: { window: 1000 } }`),
    ...names.map((name) => `  y-${name}: { models: [a-${name}, ok], promises: { window: 1000 } }`),
    ...names.map((name) => `  h-${name}: { models: [${name}, home], promises: { window: 1000 } }`),
    "  x-refused: { models: [refused, ok], promises: { window: 1000 } }",
    "  hedged: { models: [fb-slow-first, ok], promises: { window: 1000 }, hedge: { after_ms: 200 } }",
    "  hedged-well: { models: [ok, big], promises: { window: 1000 }, hedge: { after_ms: 1000 } }",
    "  hedged-both: { models: [fb-silent, fb-slow-first, home], promises: { window: 1000 }, hedge: { after_ms: 100 } }",
    "  hedged-p95: { models: [ok, big], promises: { window: 1000 }, hedge: p95 }",
    "  x-big: { models: [fb-context, ok, big], promises: { window: 1000 } }",
    "timeouts: { connect_ms: 1000, first_token_ms: 1500, idle_ms: 1000, total_ms: 20000 }",
    `keep_text_of_projects: ${JSON.stringify(more.projects ?? [])}`,
    ...(more.budgets === undefined ? [] : [`budgets: ${more.budgets}`]),
  ].join("\n");
  const path = join(tmpdir(), `waybill-llm-${randomUUID()}.yaml`);
  writeFileSync(path, config);
  process.env["LLM_CONFIG"] = path;
  process.env["TEST_KEY"] = key;
  return { gateway: await serveStreamUrl(process.cwd(), 0), vendor, key };
}
