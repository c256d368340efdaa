import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  awslambda,
  type Streaming,
  type StreamUrl,
  serveFunctionUrl,
} from "../../../localstack/functions/llm-stream.ts";
import { KNOWN } from "../http/owner.ts";
import { startVendor, type Vendor } from "./vendor.ts";

/** Every fault that a vendor can be asked to have, as a model of its own. */
export const FAULTS =
  "429-once 429 500-once 503 529 reset-once reset silent context policy bad 401 quota gone flap html huge truncated slow-first cut cut-clean cut-token stall garbage error-inside error-first drip endless no-done no-done-open event-endless event-huge echo".split(
    " ",
  );

/** Who asks how. Each has vendors, keys and breakers of its own, so that no test feels what another one did to a vendor. */
export const SURFACES = ["chat", "messages"] as const;
export const MODES = ["plain", "live", "whole"] as const;
export type Surface = (typeof SURFACES)[number];
export type Mode = (typeof MODES)[number];

/** What a test file wants in the configuration beside the faults, as YAML. */
export type More = {
  budgets?: string;
  projects?: string[];
  providers?: string[];
  models?: string[];
  chains?: string[];
};

const PRICE = "{ input: 1, output: 2 }";
const PROMISES = "promises: { window: 1000 }";

/**
 * The gateway's function URL over vendors that misbehave; the configuration is set before the gateway is loaded. Chains:
 * `SURFACE-MODE-FAULT` is the fault and then a model that is well, with vendors of its own; `x-FAULT` (OpenAI) and `y-FAULT`
 * (Anthropic) are the same with shared ones; `h-FAULT` has a local model behind it, `h-SURFACE-FAULT` the same with vendors of its own; `l-SURFACE-FAULT` is a local model with the fault,
 * an external one, and a local one that is well.
 */
export async function startGateway(more: More = {}): Promise<{ gateway: StreamUrl; vendor: Vendor; key: string }> {
  const vendor = await startVendor();
  // Like no key that anybody gives out: only who knows it can cut it out.
  const key = `canary${randomUUID().replaceAll("-", "")}`;
  const provider = (name: string, type: string, extra = 'key: "${env:TEST_KEY}"', at = "") =>
    `  ${name}: { type: ${type}, base_url: "${vendor.url}${at}${type === "openai" ? "/v1" : ""}", ${extra} }`;
  const model = (name: string, by: string, id: string, window = 100_000) =>
    `  ${name}: { provider: ${by}, id: ${id}, window: ${window}, can: [tools, json_schema, vision], price: ${by.startsWith("local") ? 0 : PRICE} }`;
  const chain = (name: string, ...models: string[]) => `  ${name}: { models: [${models.join(", ")}], ${PROMISES} }`;
  const lanes = SURFACES.flatMap((surface) =>
    MODES.flatMap((mode) => FAULTS.map((fault) => ({ surface, fault, name: `${surface}-${mode}-${fault}` }))),
  );
  const locals = SURFACES.flatMap((surface) =>
    FAULTS.map((fault) => ({ surface, fault, name: `${surface}-${fault}` })),
  );
  const config = [
    "providers:",
    provider("vendor", "openai"),
    provider("claude", "anthropic"),
    provider("local", "openai", "local: true", "/local"),
    `  nobody: { type: openai, base_url: "http://127.0.0.1:9/v1", key: "\${env:TEST_KEY}" }`,
    ...lanes.map(({ name, surface }) => provider(`p-${name}`, surface === "chat" ? "openai" : "anthropic")),
    ...locals.map(({ name }) => provider(`local-${name}`, "openai", "local: true", "/local")),
    ...(more.providers ?? []).map((line) => `  ${line.replace("VENDOR", vendor.url)}`),
    "models:",
    ...FAULTS.map((fault) => model(`fb-${fault}`, "vendor", `fb-${fault}`)),
    ...FAULTS.map((fault) => model(`a-fb-${fault}`, "claude", `fb-${fault}`)),
    ...locals.map(({ name, fault }) => model(`l-fb-${name}`, `local-${name}`, `fb-${fault}`)),
    ...lanes.map(({ name, fault }) => model(`m-${name}`, `p-${name}`, `fb-${fault}`)),
    model("ok", "vendor", "fb-ok"),
    model("big", "vendor", "fb-big", 1_000_000),
    model("a-ok", "claude", "fb-ok"),
    model("a-big", "claude", "fb-big", 1_000_000),
    model("home", "local", "fb-home"),
    model("refused", "nobody", "fb-refused"),
    `  embed: { provider: vendor, id: fb-embed, window: 8000, can: [embeddings], price: ${PRICE} }`,
    ...(more.models ?? []).map((line) => `  ${line}`),
    "chains:",
    ...lanes.map(({ name, surface }) => chain(name, `m-${name}`, surface === "chat" ? "ok" : "a-ok")),
    ...FAULTS.map((fault) => chain(`x-fb-${fault}`, `fb-${fault}`, "ok")),
    ...FAULTS.map((fault) => chain(`y-fb-${fault}`, `a-fb-${fault}`, "ok")),
    ...FAULTS.map((fault) => chain(`h-fb-${fault}`, `fb-${fault}`, "home")),
    ...locals.map(({ name, surface, fault }) => chain(`h-${name}`, `m-${surface}-whole-${fault}`, "home")),
    ...locals.map(({ name }) => chain(`l-${name}`, `l-fb-${name}`, "ok", "home")),
    chain("x-refused", "refused", "ok"),
    chain("chat-big", "fb-context", "ok", "big"),
    chain("messages-big", "a-fb-context", "a-ok", "a-big"),
    ...(more.chains ?? []).map((line) => `  ${line}`),
    "timeouts: { connect_ms: 1000, first_token_ms: 1500, idle_ms: 1000, total_ms: 20000 }",
    `keep_text_of_projects: ${JSON.stringify(more.projects ?? [])}`,
    ...(more.budgets === undefined ? [] : [`budgets: ${more.budgets}`]),
  ].join("\n");
  process.env["TEST_KEY"] = key;
  return { gateway: (await serveConfiguration(config)).gateway, vendor, key };
}

/**
 * The gateway's function URL over a configuration in YAML, and the file that it is in. Once a process: the function is loaded with it. Who
 * shows no key of ours is the owner of the default team.
 */
export async function serveConfiguration(text: string): Promise<{ gateway: StreamUrl; path: string }> {
  const path = join(tmpdir(), `waybill-llm-${randomUUID()}.yaml`);
  writeFileSync(path, text);
  process.env["LLM_CONFIG"] = path;
  Object.assign(globalThis, { awslambda });
  const { handler } = (await import("../../../functions/llm/llm-stream.ts")) as { handler: Streaming };
  const known: Streaming = async (event, out, context) => await handler(asOwner(event as Sent), out, context);
  return { gateway: await serveFunctionUrl("llm-stream", () => known, { timeoutMs: 300_000, port: 0 }), path };
}

type Sent = { headers: Record<string, string>; requestContext: object };

function asOwner(event: Sent): Sent {
  const { authorization = "", "x-api-key": key = "" } = event.headers;
  if (`${authorization} ${key}`.includes("wb_")) return event;
  return { ...event, requestContext: { ...event.requestContext, ...KNOWN } };
}
